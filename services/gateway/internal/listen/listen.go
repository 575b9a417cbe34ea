// Package listen brings what happens to the live hub: it follows the streams of the user and the note service, says what each event means
// for open sockets, and ends the trace of each event that reached one.
//
// It promises that the hub gets the events of each stream in order, that an event which cannot be read holds up none, and that the
// hub holds while a stream is behind. Imports the event kit, the generated messages, OpenTelemetry and live.
package listen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

// Since is how far back the streams are read at the start: what a returning client may have missed, and as long as a token can live, so that no
// ended session is unknown.
const Since = 10 * time.Minute

// Workspaces is told when what is known of workspaces may be out of date.
type Workspaces interface {
	// Changed says that the workspace came, changed or went.
	Changed(id string)
}

// Listener follows the streams for one hub. Start it once, Stop it any number of times.
type Listener struct {
	bus        *event.Bus
	hub        *live.Hub
	workspaces Workspaces
	tracer     trace.Tracer
	tel        *telemetry.Telemetry
	log        *slog.Logger

	current map[string]bool // by stream; the tail calls one at a time

	mu    sync.Mutex
	ended bool
	stop  context.CancelFunc // set by Start
	done  sync.WaitGroup
}

// New is a listener that has not begun.
func New(bus *event.Bus, hub *live.Hub, workspaces Workspaces, tel *telemetry.Telemetry) *Listener {
	return &Listener{
		bus: bus, hub: hub, workspaces: workspaces, tel: tel,
		tracer:  tel.Tracer(),
		log:     tel.Log.With(telemetry.Component("listen")),
		current: make(map[string]bool),
	}
}

// Start follows the streams until Stop. NATS may be away; the hub holds until it was there.
func (l *Listener) Start(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.stop != nil {
		return errors.New("listener: started before")
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() {
		err := l.bus.Tail(ctx, event.TailConfig{
			Streams:   []string{event.StreamUser, event.StreamNote},
			Since:     Since,
			Following: l.following,
			Standing:  l.standing,
		}, l.take)
		if !errors.Is(err, context.Canceled) {
			l.log.Error("the streams are not followed any more", telemetry.Err(err))
		}
	})
	return nil
}

// Stop ends the following and waits for the event under way.
func (l *Listener) Stop(context.Context) error {
	l.mu.Lock()
	l.ended = true
	if l.stop != nil {
		l.stop()
	}
	l.mu.Unlock()
	l.done.Wait()
	return nil
}

func (l *Listener) following(stream string, caughtUp bool) {
	l.current[stream] = caughtUp
	if l.current[event.StreamUser] && l.current[event.StreamNote] {
		l.hub.Release()
		return
	}
	l.hub.Hold()
}

func (l *Listener) standing(stream string, at event.Cursor) {
	l.hub.Locate(streamOf(stream), live.Place(at))
}

func streamOf(name string) live.Stream {
	if name == event.StreamUser {
		return live.UserStream
	}
	return live.NoteStream
}

// take hands e to the hub and, if anyone got it, leaves a span in its trace.
func (l *Listener) take(e event.Event) {
	begin := time.Now()
	if strings.HasPrefix(e.Type, "workspace.v1.") {
		l.workspaces.Changed(e.WorkspaceID) // before sockets are closed, which may come back at once
	}
	known, err := translate(e)
	if err != nil {
		l.log.Warn("event not understood", telemetry.EventID(e.ID), telemetry.EventType(e.Type), telemetry.Err(err))
		if known != nil { // it has gone by: the next one of another lane must not look as if something were missing
			l.hub.Publish(&live.Event{Stream: known.Stream, Lane: known.Lane, Position: known.Position, Outbox: known.Outbox})
		}
		return
	}
	if sockets := l.hub.Publish(known); sockets > 0 {
		l.pushed(e, sockets, begin)
	}
}

// translate says what e means to the hub.
func translate(e event.Event) (*live.Event, error) {
	outbox, err := event.ParseCursor(e.Cursor)
	if err != nil {
		return nil, err
	}
	known := &live.Event{
		Lane: e.Lane, Position: e.Position, Outbox: live.Place(outbox),
		ID: e.ID, Type: e.Type, Workspace: e.WorkspaceID, Time: e.Time, Data: e.Data,
	}
	if strings.HasPrefix(e.Type, "note.v1.") {
		known.Stream = live.NoteStream
		return known, ofNote(e, known)
	}
	known.Stream = live.UserStream
	known.Everyone = e.Type == typeOf(&userv1.UserRenamed{})
	if known.Ended, err = ending(e); err != nil {
		return known, err
	}
	if known.Everyone {
		return known, checkData(e)
	}
	if e.Type == typeOf(&workspacev1.WorkspaceApplied{}) {
		m, err := event.Decode[*workspacev1.WorkspaceApplied](e)
		known.Suspended = new(m.GetPolicy().GetSuspended())
		return known, err
	}
	return known, nil
}

// checkData makes sure that what goes into a frame as it is does not break the frame.
func checkData(e event.Event) error {
	if !json.Valid(e.Data) {
		return fmt.Errorf("%w: data of %s is no JSON", event.ErrMalformed, e.Type)
	}
	return nil
}

func ofNote(e event.Event, known *live.Event) error {
	known.Note = e.Key
	known.Audience = slices.Compact(slices.Sorted(slices.Values(e.Audience)))
	switch e.Type {
	case typeOf(&notev1.NoteUnshared{}):
		m, err := event.Decode[*notev1.NoteUnshared](e)
		if err != nil {
			return err
		}
		known.Note, known.Withdrawn.From = m.GetNoteId(), m.GetPersonId()
	case typeOf(&notev1.NoteTrashed{}):
		m, err := event.Decode[*notev1.NoteTrashed](e)
		if err != nil {
			return err
		}
		known.Note, known.Withdrawn.AllBut = m.GetNoteId(), m.GetActorId() // only the owner can
	default:
		return checkData(e)
	}
	return nil
}

// ending is which sessions e ends, nil for none.
func ending(e event.Event) (*live.Ending, error) {
	switch e.Type {
	case typeOf(&userv1.SessionsRevoked{}):
		m, err := event.Decode[*userv1.SessionsRevoked](e)
		return &live.Ending{Person: m.GetUserId(), Sessions: m.GetSessionIds(), Keep: m.GetKeepSessionId()}, needPerson(err, m.GetUserId())
	case typeOf(&userv1.UserDeactivated{}):
		m, err := event.Decode[*userv1.UserDeactivated](e)
		return &live.Ending{Person: m.GetUserId()}, needPerson(err, m.GetUserId())
	case typeOf(&userv1.UserDeleted{}):
		m, err := event.Decode[*userv1.UserDeleted](e)
		return &live.Ending{Person: m.GetUserId()}, needPerson(err, m.GetUserId())
	case typeOf(&workspacev1.WorkspaceDeleted{}):
		return &live.Ending{}, nil
	}
	return nil, nil //nolint:nilnil // most events end nothing
}

// needPerson keeps an event that lost its person from ending everybody's session.
func needPerson(err error, id string) error {
	if err == nil && id == "" {
		return fmt.Errorf("%w: no person in it", event.ErrMalformed)
	}
	return err
}
