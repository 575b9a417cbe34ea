package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	settings "noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

// TestNATSFaults requires, after each fault under load, what holds always: every event has its effect once. Order of first effects is kept as
// well: what is published again comes behind what was there, and has taken effect before.
func TestNATSFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *world){
		"restarted": func(t *testing.T, w *world) { w.nats.Restart(t) },
		"wiped":     func(t *testing.T, w *world) { w.nats.Wipe(t) },
		"wiped twice": func(t *testing.T, w *world) {
			w.nats.Wipe(t)
			w.nats.Wipe(t)
		},
		"rolled back to a torn copy": func(t *testing.T, w *world) {
			copied := w.nats.Snapshot(t)
			w.send(t, "between", numbers(0, 20)...)
			w.nats.Rollback(t, copied)
		},
		"files truncated": func(t *testing.T, w *world) { w.nats.Truncate(t, event.StreamNote, 0.5) },
		"stream deleted": func(t *testing.T, w *world) {
			if err := w.nats.Admin(t).DeleteStream(t.Context(), event.StreamNote); err != nil {
				t.Error(err)
			}
		},
		"consumer deleted": func(t *testing.T, w *world) {
			if err := w.nats.Admin(t).DeleteConsumer(t.Context(), event.StreamNote, consumer); err != nil {
				t.Error(err)
			}
		},
		"dead-letter stream deleted": func(t *testing.T, w *world) {
			if err := w.nats.Admin(t).DeleteStream(t.Context(), event.StreamDead); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.consume(t, config(), telemetry.Discard(), nil)
			w.send(t, "before", numbers(0, 30)...)
			w.requireEffects(t)
			var writers sync.WaitGroup
			for i := range 3 {
				writers.Go(func() { w.send(t, fmt.Sprintf("note-%d", i), numbers(0, 50)...) })
			}
			fault(t, w)
			writers.Wait()
			w.requireEffects(t)
			w.send(t, "after", numbers(0, 10)...)
			w.requireEffects(t)
		})
	}
}

// The stream loses its end while neither relay nor inbox runs, and is refilled up to the consumer's place in it: but with an event that was committed
// late, whose id comes first, where another one stood. The server corrects places beyond the end of a stream, and can not know this one. Only the
// mark in the database tells that what stands there now is something else.
func TestARefilledStreamIsNoticedAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.consume(t, config(), telemetry.Discard(), nil)
	w.send(t, "a", numbers(0, 10)...)
	w.requireEffects(t)
	copied := w.nats.Snapshot(t)
	commit := w.hold(t, otherLane("a"))
	w.send(t, "a", numbers(10, 30)...)
	w.requireEffects(t)
	w.settled(t)
	stop(t, in)
	stop(t, w.outbox)
	commit()

	places := w.nats.SnapshotConsumers(t, event.StreamNote)
	w.nats.Rollback(t, copied)
	w.outbox = w.relay(t, telemetry.Discard())
	w.eventuallyStored(t, 31)
	w.nats.RestoreConsumers(t, event.StreamNote, places)
	w.consume(t, config(), telemetry.Discard(), nil)
	w.requireEffects(t)
}

// otherLane is a key that does not share key's lane.
func otherLane(key string) string {
	for i := 0; ; i++ {
		if other := fmt.Sprintf("late-%d", i); event.LaneOf(other) != event.LaneOf(key) {
			return other
		}
	}
}

// hold appends an event in a transaction that stays open until commit is called.
func (w *world) hold(t *testing.T, key string) (commit func()) {
	t.Helper()
	appended, finish, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	o := w.outbox
	go func() {
		defer close(done)
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error {
			err := o.Append(tx, newEvent(t, workspace, key, "late"))
			close(appended)
			<-finish
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-appended
	return func() {
		close(finish)
		<-done
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent[key] = append(w.sent[key], "late")
	}
}

// eventuallyStored waits until the stream has n messages.
func (w *world) eventuallyStored(t *testing.T, n uint64) {
	t.Helper()
	js := w.nats.Admin(t)
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := js.Stream(t.Context(), event.StreamNote)
		if err == nil && s.CachedInfo().State.Msgs == n {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the stream has not %d messages: %v", n, err)
		}
	}
}

func TestEverythingAwayAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nats.Down(t)
	w.consume(t, config(), telemetry.Discard(), nil)
	w.send(t, "note", numbers(0, 20)...)
	w.nats.Up(t)
	w.requireEffects(t)
}

// The database dies under the handlers and comes back: events wait, and none is parked for it.
func TestTheDatabaseRestarts(t *testing.T) {
	t.Parallel()
	w := &world{World: pgtest.NewPrivate(t, outbox.Migrations, inbox.Migrations, effects()), nats: natstest.Start(t), sent: map[string][]string{}}
	w.outbox = w.relay(t, telemetry.Discard())
	var handled atomic.Int32
	down := make(chan struct{})
	w.consume(t, config(), telemetry.Discard(), func(context.Context, inbox.Tx, string) error {
		if handled.Add(1) == 20 {
			w.Server.Kill()
			close(down)
		}
		return nil
	})
	w.send(t, "note", numbers(0, 20)...)
	<-down
	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.send(t, "note", numbers(20, 40)...)
	w.requireOnce(t)
	w.deadLetters(t, 0)
}

func TestMetricsTellHowItGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tel, err := telemetry.New(t.Context(), "note", settings.Map(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config()
	cfg.Measure = 50 * time.Millisecond
	w.consume(t, cfg, tel, func(_ context.Context, _ inbox.Tx, value string) error {
		if value == "bad" {
			return errors.New("no")
		}
		return nil
	})
	w.send(t, "note", "a", "b", "bad")
	w.deadLetters(t, 1)
	const of = `{consumer="note-test",event_type="note.v1.NoteChanged"}`
	want := []string{"inbox_processed_total" + of + " 2", "inbox_parked_total" + of + " 1", "inbox_retried_total" + of + " 3", `inbox_pending{consumer="note-test"} 0`, `inbox_dead_letters{consumer="note-test"} 1`}
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		answer := httptest.NewRecorder()
		tel.MetricsHandler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		missing := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(answer.Body.String(), line) })
		if len(missing) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("no metric %v in\n%s", missing, answer.Body)
		}
	}
}

// Inbox and relay are killed at random points while events are written, and NATS loses everything now and then.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const seed, rounds = 11, 40
	random := rand.New(rand.NewPCG(seed, seed))
	done := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 2 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
					w.send(t, fmt.Sprintf("note-%d", i), fmt.Sprint(n))
				}
			}
		})
	}
	slow := func(_ context.Context, tx inbox.Tx, _ string) error { // to be killed in
		return tx.DB.Exec("select pg_sleep(random() * 0.002)").Error
	}
	for round := range rounds {
		in := w.consume(t, config(), telemetry.Discard(), slow, inbox.LoseAcks(7))
		delay := time.NewTimer(time.Duration(random.IntN(80)) * time.Millisecond)
		<-delay.C // the point of the kill is what is random
		kill(in)
		if round%10 == 5 {
			w.nats.Wipe(t)
		}
	}
	close(done)
	writers.Wait()
	w.consume(t, config(), telemetry.Discard(), nil)
	w.requireOnce(t)
}

// requireOnce is requireEffects without the order, which effects of kills between retries need not keep.
func (w *world) requireOnce(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	total := 0
	for _, values := range w.sent {
		total += len(values)
	}
	w.eventually(t, "select count(distinct event_id) from effects", total)
	if n := w.Count(t, "select count(*) from effects"); n != total {
		t.Errorf("%d effects of %d events", n, total)
	}
}
