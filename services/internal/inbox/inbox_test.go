package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/telemetry"
)

func TestEachEventTakesEffectOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t, config(), telemetry.Discard(), nil)
	var writers sync.WaitGroup
	for i := range 6 {
		writers.Go(func() { w.send(t, fmt.Sprintf("note-%d", i), numbers(0, 40)...) })
	}
	writers.Wait()
	w.requireEffects(t)
}

func TestEventsOfTwoWorkspacesStayApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var events []event.Event
	for i := range 20 { // of both, so that they share a transaction
		events = append(events, newEvent(t, []string{workspace, elsewhere}[i%2], fmt.Sprintf("note-%d", i%4), fmt.Sprint(i)))
	}
	for i, e := range events {
		w.sendEvent(t, e, fmt.Sprint(i))
	}
	w.consume(t, config(), telemetry.Discard(), func(_ context.Context, tx inbox.Tx, _ string) error {
		var foreign int64
		err := tx.DB.Table("effects").Where("workspace_id <> ?", tx.Event.WorkspaceID).Count(&foreign).Error
		if foreign > 0 {
			t.Errorf("an event of %s sees %d rows of another workspace", tx.Event.WorkspaceID, foreign)
		}
		return err
	})
	w.requireEffects(t)
	if n := w.Count(t, "select count(*) from effects where workspace_id = $1", elsewhere); n != 10 {
		t.Errorf("%d effects in the other workspace, want 10", n)
	}
}

func TestTwoReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t, config(), telemetry.Discard(), nil)
	w.consume(t, config(), telemetry.Discard(), nil)
	for i := range 40 {
		w.send(t, fmt.Sprintf("note-%d", i), "a")
	}
	w.requireEffects(t)
}

func TestLostAcknowledgements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t, config(), telemetry.Discard(), nil, inbox.LoseAcks(5))
	w.send(t, "note", numbers(0, 100)...)
	w.requireEffects(t)
	w.settled(t) // redelivered until acknowledged, and no effect twice
	w.requireEffects(t)
}

// settled waits until NATS waits for no acknowledgement.
func (w *world) settled(t *testing.T) {
	t.Helper()
	js := w.nats.Admin(t)
	limit := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := js.Consumer(t.Context(), event.StreamNote, consumer)
		if err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("deliveries stay unacknowledged")
		}
	}
}

func TestABadEventIsParkedAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]struct {
		handle   func() error
		reason   string
		attempts int
	}{
		"fails":           {func() error { return errors.New("no such luck") }, "no such luck", 4},
		"panics":          {func() error { panic("ouch") }, "handler panicked: ouch", 3},
		"wants no more":   {func() error { return inbox.Park(errors.New("nonsense")) }, "nonsense", 1},
		"breaks the SQL":  {func() error { return errBadSQL }, "syntax error", 4},
		"is refused":      {func() error { return errs.NotFound("not-found", "no such note") }, "no such note", 4},
		"has a long text": {func() error { return errors.New(strings.Repeat("x\n", 5000)) }, "x x x", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.consume(t, config(), telemetry.Discard(), func(_ context.Context, tx inbox.Tx, value string) error {
				if value != "bad" {
					return nil
				}
				err := bad.handle()
				if errors.Is(err, errBadSQL) {
					return tx.DB.Exec("this is no SQL").Error
				}
				return err
			})
			w.send(t, "note", numbers(0, 10)...)
			w.sendEvent(t, newEvent(t, workspace, "bad", "bad"), "bad")
			delete(w.sent, "bad")
			w.send(t, "note", numbers(10, 20)...)
			w.requireEffects(t)
			letter := w.deadLetters(t, 1)[0]
			if !strings.Contains(letter.Reason, bad.reason) || letter.Attempts != bad.attempts {
				t.Errorf("parked after %d attempts because of %q", letter.Attempts, letter.Reason)
			}
			if letter.Consumer != consumer || letter.Stream != event.StreamNote || letter.Event.Key != "bad" || letter.StreamSeq == 0 || letter.Err != nil {
				t.Errorf("dead letter %+v", letter)
			}
			w.settled(t)
		})
	}
}

var errBadSQL = errors.New("bad SQL")

func TestAnUndecodableMessageIsParkedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t, config(), telemetry.Discard(), nil)
	w.send(t, "note", "0")
	w.requireEffects(t)
	js := w.nats.Admin(t)
	// Neither is an event: one has no headers at all, the other broken data. The relay finds a stranger's message at the end and goes on.
	if _, err := js.Publish(t.Context(), "ws."+workspace+".note.v1.NoteChanged", []byte("junk")); err != nil {
		t.Fatal(err)
	}
	w.deadLetters(t, 1)
	broken := newEvent(t, workspace, "broken", "x")
	broken.Data = []byte(`{"title": 7}`)
	w.sendEvent(t, broken, "x")
	delete(w.sent, "broken")
	letters := w.deadLetters(t, 2)
	if letters[0].Err == nil || letters[1].Event.Key != "broken" || letters[1].Attempts != 1 {
		t.Errorf("dead letters %+v", letters)
	}
	w.send(t, "note", "1")
	w.requireEffects(t)
}

func TestUnknownTypesAndNewerVersionsPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t, config(), telemetry.Discard(), nil)
	unknown, err := event.New(workspace, "unknown", &notev1.NoteTrashed{NoteId: "unknown"})
	if err != nil {
		t.Fatal(err)
	}
	w.sendEvent(t, unknown, "")
	delete(w.sent, "unknown")
	newer := newEvent(t, workspace, "note", "newer")
	newer.Data = []byte(`{"noteId":"note","title":"newer","colour":{"of":"tomorrow"}}`)
	w.sendEvent(t, newer, "newer")
	w.requireEffects(t)
	w.settled(t)
	w.deadLetters(t, 0)
}

func TestAHandlerThatFailsForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var failures atomic.Int32
	w.consume(t, config(), telemetry.Discard(), func(context.Context, inbox.Tx, string) error {
		if failures.Add(1) <= 2 {
			return errors.New("not yet")
		}
		return nil
	})
	w.send(t, "note", "a")
	w.requireEffects(t)
}

// Trouble that passes is no event's fault: nothing is parked, however long it takes.
func TestUnavailabilityParksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var tries atomic.Int32
	w.consume(t, config(), telemetry.Discard(), func(context.Context, inbox.Tx, string) error {
		if tries.Add(1) <= 20 {
			return errs.Unavailable("away", "try again")
		}
		return nil
	})
	w.send(t, "note", "a")
	w.requireEffects(t)
	w.deadLetters(t, 0)
}

func TestADeadLetterIsReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var healed atomic.Bool
	w.consume(t, config(), telemetry.Discard(), func(context.Context, inbox.Tx, string) error {
		if !healed.Load() {
			return inbox.Park(errors.New("bug"))
		}
		return nil
	})
	w.send(t, "note", "a")
	bus := w.nats.Bus(t, "note", telemetry.Discard())

	letter := w.deadLetters(t, 1)[0]
	if err := bus.Replay(t.Context(), consumer, letter.Seq); err != nil {
		t.Fatal(err)
	}
	w.eventuallyParkedAgain(t, letter.Seq)

	healed.Store(true)
	letter = w.deadLetters(t, 1)[0]
	if letter.Stream != event.StreamNote || letter.Event.Key != "note" {
		t.Errorf("parked again, it forgot where it came from: %+v", letter)
	}
	if err := bus.Replay(t.Context(), consumer, letter.Seq); err != nil {
		t.Fatal(err)
	}
	w.requireEffects(t)
	w.deadLetters(t, 0)
	if err := bus.Replay(t.Context(), consumer, letter.Seq); !errors.Is(err, event.ErrNoDeadLetter) {
		t.Errorf("replayed twice: %v", err)
	}
}

// eventuallyParkedAgain waits for a dead letter newer than seq.
func (w *world) eventuallyParkedAgain(t *testing.T, seq uint64) {
	t.Helper()
	limit := time.After(patience)
	for {
		if letters := w.deadLetters(t, 1); letters[0].Seq > seq {
			return
		}
		select {
		case <-limit:
			t.Fatal("not parked again")
		default:
		}
	}
}

func TestADeadLetterIsDiscarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.consume(t, config(), telemetry.Discard(), func(context.Context, inbox.Tx, string) error { return inbox.Park(errors.New("bug")) })
	w.send(t, "note", "a")
	letter := w.deadLetters(t, 1)[0]
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	if err := bus.Discard(t.Context(), "somebody-else", letter.Seq); !errors.Is(err, event.ErrNoDeadLetter) {
		t.Errorf("discarded for another consumer: %v", err)
	}
	if err := bus.Discard(t.Context(), consumer, letter.Seq); err != nil {
		t.Fatal(err)
	}
	w.deadLetters(t, 0)
}

// What a handler appends goes out with its commit, and not when it fails.
func TestAHandlerAppends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var failed atomic.Bool
	w.consume(t, config(), telemetry.Discard(), func(_ context.Context, tx inbox.Tx, value string) error {
		if value == "end" {
			return nil
		}
		if err := w.outbox.Append(tx.DB, newEvent(t, workspace, "answer", "end")); err != nil {
			return err
		}
		if failed.CompareAndSwap(false, true) {
			return errors.New("after appending")
		}
		return nil
	})
	w.send(t, "note", "begin")
	w.mu.Lock()
	w.sent["answer"] = []string{"end"}
	w.mu.Unlock()
	w.requireEffects(t)
}

func TestOldRowsArePurged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.consume(t, config(), telemetry.Discard(), nil)
	w.send(t, "note", numbers(0, 10)...)
	w.requireEffects(t)
	w.Exec(t, "update inbox set processed_at = now() - interval '10 days' where event_id in (select event_id from inbox limit 4)")
	removed, err := in.PurgeBefore(t.Context(), time.Now().Add(-inbox.Keep))
	if err != nil || removed != 4 {
		t.Errorf("removed %d, %v", removed, err)
	}
}

func TestTwoHandlersOfOneTypePanic(t *testing.T) {
	t.Parallel()
	in := inbox.New(nil, nil, config(), telemetry.Discard())
	handle := func(context.Context, inbox.Tx, *notev1.NoteChanged) error { return nil }
	inbox.On(in, handle)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	inbox.On(in, handle)
}

func TestLifecycle(t *testing.T) { //nolint:paralleltest // it counts goroutines
	w := newWorld(t)
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	err := errors.Join(bus.Await(t.Context(), nil), bus.EnsureStream(t.Context(), event.StreamNote), bus.EnsureStream(t.Context(), event.StreamDead))
	if err != nil {
		t.Fatal(err)
	}
	in := w.consume(t, config(), telemetry.Discard(), nil) // the consumers' goroutines in the server stay
	w.send(t, "note", "a")
	w.requireEffects(t)
	stop(t, in)
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle { return inbox.New(w.DB, bus, config(), telemetry.Discard()) })
}
