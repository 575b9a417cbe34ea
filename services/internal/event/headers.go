package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Names of headers. CloudEvents' NATS binding writes attributes as ce-<name>; ours are nw-<name>.
const (
	headerID          = "ce-id"
	headerType        = "ce-type"
	headerSource      = "ce-source"
	headerTime        = "ce-time"
	headerSubject     = "ce-subject"
	headerSpec        = "ce-specversion"
	headerContentType = "content-type"
	headerTraceParent = "traceparent"
	headerTraceState  = "tracestate"
	headerAudience    = "nw-audience"
	headerLane        = "nw-lane"
	headerPosition    = "nw-pos"
	headerCursor      = "nw-cursor"
)

// headersOf writes e's attributes. The keys are written as they are, not in MIME's spelling, and read the same way.
func headersOf(e Event) nats.Header {
	values := make([]string, 0, 14) // one array for all values
	h := make(nats.Header, 18)
	put := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	put(headerID, e.ID)
	put(headerType, e.Type)
	put(headerSource, e.Source)
	put(headerTime, e.Time.UTC().Format(time.RFC3339Nano))
	put(headerSubject, e.Key)
	put(headerSpec, "1.0")
	put(headerContentType, "application/json")
	put(headerLane, strconv.Itoa(e.Lane))
	put(headerPosition, strconv.FormatInt(e.Position, 10))
	put(headerCursor, e.Cursor)
	if len(e.Audience) > 0 {
		put(headerAudience, strings.Join(e.Audience, ","))
	}
	if e.TraceParent != "" {
		put(headerTraceParent, e.TraceParent)
	}
	if e.TraceState != "" {
		put(headerTraceState, e.TraceState)
	}
	return h
}

// parse reads an event from a message. What it could read is returned also with an error, which is ErrMalformed.
func parse(subject string, h nats.Header, data []byte) (Event, error) {
	e := Event{
		ID:          h.Get(headerID),
		Type:        h.Get(headerType),
		Source:      h.Get(headerSource),
		Key:         h.Get(headerSubject),
		Data:        data,
		TraceParent: h.Get(headerTraceParent),
		TraceState:  h.Get(headerTraceState),
		Cursor:      h.Get(headerCursor),
	}
	if audience := h.Get(headerAudience); audience != "" {
		e.Audience = strings.Split(audience, ",")
	}
	var err error
	if e.WorkspaceID, err = workspaceOf(subject); err != nil {
		return e, err
	}
	if e.ID == "" || e.Type == "" {
		return e, fmt.Errorf("%w: without %s or %s", ErrMalformed, headerID, headerType)
	}
	if !canonicalUUID(e.ID) {
		return e, fmt.Errorf("%w: %s %q is not a UUID", ErrMalformed, headerID, e.ID)
	}
	if want := e.Subject(); want != subject {
		return e, fmt.Errorf("%w: a %s on subject %s", ErrMalformed, e.Type, subject)
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, h.Get(headerTime)); err != nil {
		return e, fmt.Errorf("%w: %s: %w", ErrMalformed, headerTime, err)
	}
	return e, e.parsePlace(h)
}

func (e *Event) parsePlace(h nats.Header) error {
	var err error
	if e.Lane, err = strconv.Atoi(h.Get(headerLane)); err != nil || e.Lane < 0 || e.Lane >= Lanes {
		return fmt.Errorf("%w: %s %q", ErrMalformed, headerLane, h.Get(headerLane))
	}
	if e.Position, err = strconv.ParseInt(h.Get(headerPosition), 10, 64); err != nil {
		return fmt.Errorf("%w: %s %q", ErrMalformed, headerPosition, h.Get(headerPosition))
	}
	_, err = ParseCursor(e.Cursor)
	return err
}

func workspaceOf(subject string) (string, error) {
	rest, ok := strings.CutPrefix(subject, "ws.")
	workspace, _, more := strings.Cut(rest, ".")
	if !ok || !more {
		return "", fmt.Errorf("%w: subject %s", ErrMalformed, subject)
	}
	return workspace, checkWorkspace(workspace)
}
