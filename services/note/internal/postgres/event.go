package postgres

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/note/internal/note"
)

// maxEventBody is the longest body that an event carries; a longer one is flagged, and whoever wants it fetches the note.
const maxEventBody = 64 << 10

// eventOf is what the others are told: the fact, the version, who did it, and to whom it may be shown.
func eventOf(actor note.Actor, sight *note.Sight, fact note.Fact) (event.Event, error) {
	msg, err := message(sight, fact)
	if err != nil {
		return event.Event{}, err
	}
	hears := sight.Hears(fact)
	audience := make([]string, len(hears))
	for i, p := range hears {
		audience[i] = string(p)
	}
	return event.New(string(actor.Workspace), string(sight.ID), msg, audience...)
}

func message(s *note.Sight, fact note.Fact) (proto.Message, error) {
	id, version, actor := string(s.ID), s.Version, string(s.Viewer)
	switch f := fact.(type) {
	case note.Created:
		return created(s), nil
	case note.Changed:
		return changed(s, f), nil
	case note.Trashed:
		return &notev1.NoteTrashed{NoteId: id, Version: version, ActorId: actor}, nil
	case note.Restored:
		return &notev1.NoteRestored{NoteId: id, Version: version, ActorId: actor}, nil
	case note.Destroyed:
		return &notev1.NoteDeleted{NoteId: id, Version: version, ActorId: actor}, nil
	case note.Shared:
		return &notev1.NoteShared{
			NoteId: id, Version: version, ActorId: actor, PersonId: string(f.With.ID), Role: f.As.String(), Title: s.Title,
		}, nil
	case note.Unshared:
		return &notev1.NoteUnshared{NoteId: id, Version: version, ActorId: actor, PersonId: string(f.From)}, nil
	case note.OwnerChanged:
		return &notev1.NoteOwnerChanged{NoteId: id, Version: version, ActorId: actor, OwnerId: string(f.To)}, nil
	case note.Pinned:
		return &notev1.NotePinned{NoteId: id, PersonId: actor, Pinned: f.On}, nil
	case note.Archived:
		return &notev1.NoteArchived{NoteId: id, PersonId: actor, Archived: f.On}, nil
	}
	return nil, fmt.Errorf("no event tells of %T", fact)
}

func created(s *note.Sight) *notev1.NoteCreated {
	m := &notev1.NoteCreated{
		NoteId: string(s.ID), Version: s.Version, ActorId: string(s.Viewer), Title: s.Title, Tags: s.Tags,
		UpdatedAt: timestamppb.New(s.UpdatedAt),
	}
	m.Body, m.BodyOmitted = carried(s.Body)
	return m
}

func changed(s *note.Sight, c note.Changed) *notev1.NoteChanged {
	m := &notev1.NoteChanged{
		NoteId: string(s.ID), Version: s.Version, ActorId: string(s.Viewer), Title: c.Title, UpdatedAt: timestamppb.New(s.UpdatedAt),
	}
	if c.Body != nil {
		body, omitted := carried(*c.Body)
		if m.BodyOmitted = omitted; !omitted {
			m.Body = &body
		}
	}
	if c.Tags != nil {
		m.Tags = &notev1.Tags{Values: *c.Tags}
	}
	return m
}

func carried(body string) (text string, omitted bool) {
	if len(body) > maxEventBody {
		return "", true
	}
	return body, false
}
