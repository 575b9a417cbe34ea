package telemetry

import "log/slog"

// Attributes of log lines: one spelling each, so that a search finds all lines about a thing. There is none for the text of
// a note or an e-mail address, and there must not be one.

// NoteID is "note_id".
func NoteID[T ~string](id T) slog.Attr { return slog.String("note_id", string(id)) }

// PersonID is "person_id".
func PersonID[T ~string](id T) slog.Attr { return slog.String("person_id", string(id)) }

// WorkspaceID is "workspace_id".
func WorkspaceID[T ~string](id T) slog.Attr { return slog.String("workspace_id", string(id)) }

// SessionID is "session_id".
func SessionID[T ~string](id T) slog.Attr { return slog.String("session_id", string(id)) }

// EventID is "event_id".
func EventID(id string) slog.Attr { return slog.String("event_id", id) }

// EventType is "event_type", a protobuf message's full name.
func EventType(name string) slog.Attr { return slog.String("event_type", name) }

// Role is "role".
func Role[T ~string](r T) slog.Attr { return slog.String("role", string(r)) }

// Component is "component", the part of a service that speaks.
func Component(name string) slog.Attr { return slog.String("component", name) }

// Err is "error"; a nil error is an empty text.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.String("error", "")
	}
	return slog.String("error", err.Error())
}
