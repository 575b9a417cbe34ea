package outbox_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

// underLoad runs fault while four keys are written, and then requires that the stream has everything.
func underLoad(t *testing.T, fault func(*testing.T, *world)) {
	t.Helper()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "before", 30)
	w.requireAll(t)
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() { w.write(t, o, fmt.Sprintf("note-%d", i), 60) })
	}
	fault(t, w)
	writers.Wait()
	w.requireAll(t)
	w.write(t, o, "after", 10)
	w.requireAll(t)
}

func TestNATSFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *world){
		"restarted": func(t *testing.T, w *world) { w.nats.Restart(t) },
		"wiped":     func(t *testing.T, w *world) { w.nats.Wipe(t) },
		"rolled back to a torn copy": func(t *testing.T, w *world) {
			copied := w.nats.Snapshot(t)
			w.write(t, outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard()), "between", 20)
			w.nats.Rollback(t, copied)
		},
		"files truncated to half": func(t *testing.T, w *world) { w.nats.Truncate(t, event.StreamNote, 0.5) },
		"files emptied":           func(t *testing.T, w *world) { w.nats.Truncate(t, event.StreamNote, 0) },
		"stream deleted": func(t *testing.T, w *world) {
			if err := w.nats.Admin(t).DeleteStream(t.Context(), event.StreamNote); err != nil {
				t.Error(err)
			}
		},
		"stream purged": func(t *testing.T, w *world) {
			if err := w.stored(t).Purge(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"a message in the middle deleted": func(t *testing.T, w *world) {
			if err := w.stored(t).DeleteMsg(t.Context(), 15); err != nil {
				t.Error(err)
			}
		},
		"the oldest messages deleted": func(t *testing.T, w *world) {
			if err := w.stored(t).Purge(t.Context(), jetstream.WithPurgeSequence(20)); err != nil {
				t.Error(err)
			}
		},
		"stream sealed": func(t *testing.T, w *world) {
			cfg := w.stored(t).CachedInfo().Config
			cfg.Sealed = true
			if _, err := w.nats.Admin(t).UpdateStream(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		},
		"the newest message deleted": func(t *testing.T, w *world) {
			s := w.stored(t)
			if err := s.DeleteMsg(t.Context(), s.CachedInfo().State.LastSeq); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			underLoad(t, fault)
		})
	}
}

func TestAStreamThatIsGoneIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *world){
		"deleted": func(t *testing.T, w *world) {
			if err := w.nats.Admin(t).DeleteStream(t.Context(), event.StreamNote); err != nil {
				t.Error(err)
			}
		},
		"wiped":                   func(t *testing.T, w *world) { w.nats.Wipe(t) },
		"files truncated to half": func(t *testing.T, w *world) { w.nats.Truncate(t, event.StreamNote, 0.5) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o, tel := w.measured(t)
			w.write(t, o, "before", 30)
			w.requireAll(t)
			requireMetrics(t, tel, `outbox_published_total{stream="NOTE"} 30`, `outbox_stream_rebuilt_total{stream="NOTE"} 0`)
			fault(t, w)
			w.write(t, o, "after", 10)
			w.requireAll(t)
			requireMetrics(t, tel, `outbox_pending{stream="NOTE"} 0`, `outbox_stream_rebuilt_total{stream="NOTE"} 1`)
		})
	}
}

func (w *world) stored(t *testing.T) jetstream.Stream {
	t.Helper()
	s, err := w.nats.Admin(t).Stream(t.Context(), event.StreamNote)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestChangedStreamConfigurationIsCorrected(t *testing.T) {
	t.Parallel()
	underLoad(t, func(t *testing.T, w *world) {
		s := w.stored(t)
		cfg := s.CachedInfo().Config
		cfg.MaxMsgs, cfg.Discard, cfg.MaxAge, cfg.Subjects = 10, jetstream.DiscardOld, time.Minute, []string{"other.>"}
		if _, err := w.nats.Admin(t).UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			info, err := s.Info(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if info.Config.MaxMsgs == -1 && info.Config.Discard == jetstream.DiscardNew && info.Config.Subjects[0] == "ws.*.note.v1.>" {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("still %+v", info.Config)
			}
		}
	})
}

func TestNATSAwayAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nats.Down(t)
	o := w.relay(t)
	w.write(t, o, "note", 50) // writing needs no NATS
	w.nats.Up(t)
	w.requireOnce(t)
}

// A stream that is full refuses, and nothing is lost: when there is room again the relay goes on by itself.
func TestAFullStreamDelaysAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.nats.Config("note")
	cfg.StreamBytes = 64 << 10
	bus, err := event.Connect(t.Context(), cfg, telemetry.Discard())
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	small := outbox.New(w.DB, bus, config(), telemetry.Discard())
	if err := small.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(t, small, "note", 300) // more than fits
	kill(small)
	w.relay(t) // with room
	w.requireOnce(t)
}

// Relays are killed at random points, again and again, while writers write: the stream has each event once, in order.
func TestRelayKilledAtRandom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const seed, rounds = 7, 60
	random := rand.New(rand.NewPCG(seed, seed))
	done := make(chan struct{})
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	writer := outbox.New(w.DB, bus, config(), telemetry.Discard())
	var writers sync.WaitGroup
	for i := range 3 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
					w.write(t, writer, fmt.Sprintf("note-%d-%d", i, n%3), 5)
				}
			}
		})
	}
	for range rounds {
		o := outbox.New(w.DB, bus, config(), telemetry.Discard())
		if err := o.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		delay := time.NewTimer(time.Duration(random.IntN(60)) * time.Millisecond)
		<-delay.C // the point of the kill is what is random
		kill(o)
	}
	close(done)
	writers.Wait()
	w.relay(t)
	w.requireOnce(t)
}

// Two relays that both believe they lead, as when one was paused while its session's lock went to another.
func TestTwoRelaysThatBothLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var relays sync.WaitGroup
	for range 2 {
		o := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
		relays.Go(func() { outbox.RelayWithoutLock(ctx, o) })
	}
	writer := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
	var writers sync.WaitGroup
	for i := range 6 {
		writers.Go(func() { w.write(t, writer, fmt.Sprintf("note-%d", i), 80) })
	}
	writers.Wait()
	w.requireOnce(t)
	cancel()
	relays.Wait()
}

func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.relay(t), w.relay(t)
	w.write(t, first, "note", 20)
	w.requireOnce(t)
	kill(first)
	w.write(t, second, "note", 20)
	w.requireOnce(t)
}

// The one that relays hangs: it holds its lock, and its connection stays open.
func TestAStandbyTakesOverFromOneThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := config()
	cfg.Silence = 500 * time.Millisecond
	hung := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), cfg, telemetry.Discard())
	end, err := outbox.Hang(t.Context(), hung)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	o := w.relay(t)
	w.write(t, o, "note", 20)
	w.requireOnce(t)
}

// One that has nothing to do, or cannot do it for want of NATS, is not taken for one that hangs.
func TestARelayThatWaitsKeepsItsLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nats.Down(t)
	cfg := config()
	cfg.Silence = 500 * time.Millisecond
	o := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), cfg, telemetry.Discard())
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, o) })
	const old = `select count(*) from pg_stat_activity where application_name = 'outbox relay' and datname = current_database()
		and now() - backend_start > interval '1.5 s'`
	limit := time.After(patience)
	for tick := time.NewTicker(50 * time.Millisecond); w.Count(t, old) == 0; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("no session becomes three times as old as silence may last")
		}
	}
}

// The database ends the relay's session: the relay gives up the lead and takes it again.
func TestRelayLosesItsDatabaseSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	for range 5 {
		w.write(t, o, "note", 20)
		w.Exec(t, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'outbox relay' and datname = current_database()")
	}
	w.write(t, o, "note", 5)
	w.requireOnce(t)
}

// The database is restored from a copy that knows less than was published. What it has is what counts, and what is written from then on comes through.
func TestTheDatabaseIsRestoredFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.relay(t)
	w.write(t, first, "note", 30)
	w.requireOnce(t)
	kill(first)
	w.Exec(t, "delete from outbox where id > 10")
	w.Exec(t, "select setval('outbox_id', 10)")
	w.committed["note"] = w.committed["note"][:10]
	second := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
	w.write(t, second, "note", 10) // before a relay looks, with ids that were published for others
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, second) })
	w.write(t, second, "note", 30)
	limit := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); w.stored(t).CachedInfo().State.Msgs != 50; {
		select {
		case <-tick.C: // until then it holds what the database does not
		case <-limit:
			t.Fatal("the stream is not filled again")
		}
	}
	w.requireOnce(t)
}

// The relay looks once an hour only, so what is published at once was told of: in this process after the commit, from another one by a ping.
func TestACommitWakesTheRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := config()
	cfg.Poll = time.Hour
	for range 2 {
		bus := w.nats.Bus(t, "note", telemetry.Discard())
		if err := bus.Await(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		o := outbox.New(w.DB, bus, cfg, telemetry.Discard())
		if err := o.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, o) })
		for range 3 { // the second one's outbox stands by
			w.write(t, o, "note", 5)
			w.requireOnce(t)
		}
	}
}

func TestTheDatabaseRestarts(t *testing.T) {
	t.Parallel()
	w := &world{World: pgtest.NewPrivate(t, outbox.Migrations), nats: natstest.Start(t), committed: map[string][]string{}}
	o := w.relay(t)
	w.write(t, o, "note", 20)
	w.requireOnce(t)
	w.Server.Kill()
	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(t, o, "note", 20)
	w.requireOnce(t)
}

func TestMetricsTellThatNATSIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, tel := w.measured(t)
	w.write(t, o, "note", 3)
	w.requireOnce(t)
	requireMetrics(t, tel, `nats_connected{client="note"} 1`, `relay_leader{stream="NOTE"} 1`, `outbox_pending{stream="NOTE"} 0`, `outbox_published_total{stream="NOTE"} 3`)
	w.nats.Down(t)
	w.write(t, o, "note", 4)
	requireMetrics(t, tel, `nats_connected{client="note"} 0`, `outbox_pending{stream="NOTE"} 4`,
		fmt.Sprintf(`outbox_lane_pending{lane="%d",stream="NOTE"} 4`, event.LaneOf("note")), `outbox_oldest_unpublished_seconds{stream="NOTE"} 0.`)
	w.nats.Up(t)
	requireMetrics(t, tel, `nats_connected{client="note"} 1`, `outbox_pending{stream="NOTE"} 0`)
}

// requireMetrics waits until all lines are among the metrics.
func requireMetrics(t *testing.T, tel *telemetry.Telemetry, lines ...string) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer := httptest.NewRecorder()
		tel.MetricsHandler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		missing := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(answer.Body.String(), line) })
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

func TestABacklogDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const batches, size = 100, 200
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	o := outbox.New(w.DB, bus, config(), telemetry.Discard())
	for b := range batches {
		events := make([]event.Event, size)
		for i := range events {
			events[i] = newEvent(t, fmt.Sprintf("note-%d", (b*size+i)%50), "x")
			w.committed[events[i].Key] = append(w.committed[events[i].Key], events[i].ID)
		}
		if err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, events...) }); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	w.relay(t)
	w.requireOnce(t)
	t.Logf("%d events in %v", batches*size, time.Since(began))
}

// eventually asks until the answer is want.
func (w *world) eventually(t *testing.T, query string, want int) {
	t.Helper()
	limit := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		got := w.Count(t, query)
		if got == want {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: %d, want %d", query, got, want)
		}
	}
}
