package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/telemetry"
)

// gathered is a title that its handler put off.
type gathered struct {
	title string
	event event.Event
}

// gather starts an inbox whose handler puts everything off, to be recorded unless refuse objects.
func (w *world) gather(t *testing.T, refuse func(title string) error) (calls *atomic.Int64) {
	t.Helper()
	calls = &atomic.Int64{}
	in := inbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
	inbox.On(in, func(_ context.Context, tx inbox.Tx, m *notev1.NoteChanged) error {
		inbox.Gather(tx, gathered{m.GetTitle(), tx.Event}, func(tx inbox.Tx, all []gathered) error {
			calls.Add(1)
			for _, one := range all {
				if err := refuse(one.title); err != nil {
					return err
				}
				tx.Event = one.event // of another workspace, row-level security would refuse it
				if err := record(tx, one.title); err != nil {
					return err
				}
			}
			return nil
		})
		return nil
	})
	if err := in.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, in) })
	return calls
}

func TestWhatHandlersGatherIsDoneTogetherInItsWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 40 {
		key := fmt.Sprintf("note-%d", i%4)
		w.sendEvent(t, newEvent(t, []string{workspace, elsewhere}[i/2%2], key, fmt.Sprint(i)), fmt.Sprint(i))
	}
	calls := w.gather(t, func(string) error { return nil })
	w.requireEffects(t)
	if n := calls.Load(); n >= 40 {
		t.Errorf("done %d times for 40 events", n)
	}
}

func TestAnEventWhoseGatheredWorkFailsIsParkedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(t, "note", numbers(0, 10)...)
	w.gather(t, func(title string) error {
		switch title {
		case "3":
			panic("three")
		case "5":
			return inbox.Park(errors.New("five"))
		}
		return nil
	})
	w.eventually(t, "select count(*) from effects", 8)
	if letters := w.deadLetters(t, 2); letters[0].Reason != "five" {
		t.Errorf("%+v", letters)
	}
}
