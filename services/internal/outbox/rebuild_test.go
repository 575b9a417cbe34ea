package outbox_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/telemetry"
)

// idle is an outbox that never relays, as in a replica that writes and answers while another one leads.
func (w *world) idle(t *testing.T) *outbox.Outbox {
	t.Helper()
	return outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
}

func TestAStreamIsFilledAgainByOrderWhileOthersWrite(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]func(*testing.T, *world, *outbox.Outbox) *outbox.Outbox{
		"of the replica that relays": func(_ *testing.T, _ *world, leader *outbox.Outbox) *outbox.Outbox { return leader },
		"of another one":             func(t *testing.T, w *world, _ *outbox.Outbox) *outbox.Outbox { return w.idle(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			leader := w.relay(t)
			w.write(t, leader, "before", 50)
			w.requireOnce(t)
			var writers sync.WaitGroup
			for _, key := range []string{"one", "other"} {
				writers.Go(func() { w.write(t, leader, key, 100) })
			}
			old := w.stored(t).CachedInfo().State.LastSeq
			removed, err := asked(t, w, leader).Rebuild(t.Context())
			if err != nil || removed < 50 {
				t.Errorf("%d removed, %v", removed, err)
			}
			writers.Wait()
			w.requireOnce(t)
			if first := w.stored(t).CachedInfo().State.FirstSeq; first <= old {
				t.Errorf("it begins at %d, which stood there before", first)
			}
		})
	}
}

func TestAnOrderIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "note", 20)
	w.requireOnce(t)
	upTo := w.stored(t).CachedInfo().State.LastSeq
	if _, err := o.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.requireOnce(t)
	first := w.stored(t).CachedInfo().State.FirstSeq
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	if err := bus.Await(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := bus.OrderRefill("note", upTo); err != nil {
			t.Fatal(err)
		}
	}
	w.write(t, o, "note", 20) // a look after the orders
	w.requireOnce(t)
	if now := w.stored(t).CachedInfo().State.FirstSeq; now != first {
		t.Errorf("it begins at %d, after the first time at %d", now, first)
	}
}

func TestAnOrderThatNobodyCarriesOutSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "note", 5)
	w.requireOnce(t)
	kill(o)
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	if _, err := w.idle(t).Rebuild(ctx); !errors.Is(err, outbox.ErrNoRelay) {
		t.Errorf("without a relay: %v", err)
	}
	w.requireOnce(t)
}

func TestStatusTellsWhoRelaysAndWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := w.idle(t)
	status := w.statusWhen(t, asked, func(s outbox.Status) bool { return s.Connected })
	if status.Leader != "" || status.Leading || status.Stream != nil || !status.Known {
		t.Errorf("before anything is there: %+v", status)
	}

	leader := w.relay(t)
	w.write(t, leader, "a", 3)
	w.write(t, leader, "b", 2)
	w.requireOnce(t)
	status = w.statusWhen(t, asked, func(s outbox.Status) bool { n, _ := s.Pending(); return n == 0 })
	if status.Leader == "" || status.Leading || status.Stream == nil || status.Stream.Messages != 5 || status.Stream.Bytes == 0 {
		t.Errorf("all published: %+v", status)
	}
	for key, n := range map[string]int64{"a": 3, "b": 2} {
		if lane := status.Lanes[event.LaneOf(key)]; lane.Published != lane.Newest || lane.Newest < n {
			t.Errorf("lane of %s: %+v", key, lane)
		}
	}
	if own := w.statusWhen(t, leader, func(s outbox.Status) bool { return s.Leading }); own.Leader != status.Leader {
		t.Errorf("the one that relays says %q, the other %q", own.Leader, status.Leader)
	}

	w.nats.Down(t)
	w.write(t, asked, "a", 4)
	waits := func(s outbox.Status) bool { n, oldest := s.Pending(); return !s.Connected && n == 4 && oldest > 0 }
	w.statusWhen(t, leader, waits)
	if blind := w.statusWhen(t, asked, func(s outbox.Status) bool { return !s.Connected }); blind.Known || blind.Leader == "" || blind.Lanes[event.LaneOf("a")].Newest == 0 {
		t.Errorf("of a replica that can not know: %+v", blind)
	}
	w.nats.Up(t)
	w.requireAll(t)
}

// statusWhen asks until the answer is as wanted.
func (w *world) statusWhen(t *testing.T, o *outbox.Outbox, wanted func(outbox.Status) bool) outbox.Status {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := o.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if wanted(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%+v", s)
		}
	}
}
