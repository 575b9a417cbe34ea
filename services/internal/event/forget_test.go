package event_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

const deleted = "0190a5b4-0000-7000-8000-00000000000d"

// publishIn publishes events of a workspace; the last of them may be its last.
func publishIn(t testing.TB, bus *event.Bus, workspace string, count int, last bool) {
	t.Helper()
	end := available(t, bus)
	chain, err := bus.Chain(event.StreamNote, end)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	for i := range count {
		e := noteEvent(t, 0, end.Cursor[0]+int64(i)+1, end.Cursor)
		e.WorkspaceID = workspace
		if last && i == count-1 {
			e.Type = lastType
		}
		if err := chain.Publish(t.Context(), e, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := chain.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const lastType = "note.v1.Last"

func forget(t testing.TB, bus *event.Bus) {
	t.Helper()
	if err := bus.Forget(t.Context(), event.StreamNote, event.Event{WorkspaceID: deleted, Type: lastType}); err != nil {
		t.Fatal(err)
	}
}

func TestForgettingKeepsTheLastEventAndOthers(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t).Bus(t, "note", telemetry.Discard())
	connected(t, bus)
	publishIn(t, bus, deleted, 3, false)
	publish(t, bus, 3)
	publishIn(t, bus, deleted, 3, false)
	forget(t, bus) // not before it is there
	publishIn(t, bus, deleted, 1, true)
	publishIn(t, bus, deleted, 1, false) // it has come again
	for range 2 {
		forget(t, bus)
		var positions []int64
		for _, e := range read(t, bus, event.StreamNote) {
			positions = append(positions, e.Position)
		}
		if fmt.Sprint(positions) != "[4 5 6 10 11]" {
			t.Fatalf("positions %v are left", positions)
		}
	}
	if end := available(t, bus); end.Last != 11 || end.Missing != 3 || end.Messages != 5 || end.Before[0] != 3 || end.Cursor[0] != 11 {
		t.Errorf("end %+v", end)
	}
}

// startForgetting is a reading of a stream of which messages from 11 to 30 are to be forgotten; 31 is the last of their workspace.
func startForgetting(t *testing.T) *reading {
	t.Helper()
	r := startReading(t)
	publishIn(t, r.bus, deleted, 21, true)
	publish(t, r.bus, 4)
	return r
}

func TestAReaderGoesOnBehindWhatWasForgotten(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]int{"before it": 10, "at its beginning": 11, "in its midst": 20, "at its end": 30, "after it": 31} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startForgetting(t)
			r.take(t, taken, taken)
			forget(t, r.bus)
			requireRun(t, r.take(t, 5-taken/31, 5-taken/31), int64(31+taken/31), 35)
			if r.marks.forgets != 0 {
				t.Error("it started over")
			}
		})
	}
	t.Run("with deliveries of it under way", func(t *testing.T) {
		t.Parallel()
		r := startForgetting(t)
		r.take(t, 25, 12)
		forget(t, r.bus)
		requireRun(t, r.take(t, 5, 5), 31, 35)
		if r.marks.forgets != 0 {
			t.Error("it started over")
		}
	})
}

// Deliveries that are made again in vain count as acknowledged, and so the consumer is ahead of what took effect.
func TestAReaderGoesOnThoughWhatItDidNotFinishWasForgotten(t *testing.T) {
	t.Parallel()
	r := startForgetting(t)
	r.reader = r.bus.Reader(event.ReaderConfig{Stream: event.StreamNote, Consumer: "note-test", AckWait: 100 * time.Millisecond}, r.marks)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := r.reader.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 10; {
		batch, err := s.Batch(ctx, 10-n)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range batch {
			r.marks.mark = d.Mark()
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		n += len(batch)
	}
	forget(t, r.bus)
	for unfinished := uint64(25); unfinished > 5; {
		if _, unfinished, err = s.Pending(ctx); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	requireRun(t, r.take(t, 5, 5), 31, 35)
	if r.marks.forgets != 0 {
		t.Error("it started over")
	}
}

func TestAMarkThatLedElsewhereStartsOver(t *testing.T) {
	t.Parallel()
	r := startForgetting(t)
	r.take(t, 20, 20)
	forget(t, r.bus)
	r.marks.mark.Cursor = event.Cursor{}.After(0, 9).String() // what stands before its place was not before it
	requireRun(t, r.take(t, 10, 1), 1, 10)
	if r.marks.forgets != 1 {
		t.Errorf("forgotten %d times", r.marks.forgets)
	}
}

// slow is a tail whose events are handled only as far as they are let.
type slow struct {
	ready, let chan struct{}
	mu         sync.Mutex
	positions  []int64
}

func followSlowly(t *testing.T, bus *event.Bus) *slow {
	t.Helper()
	s := &slow{ready: make(chan struct{}), let: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cfg := event.TailConfig{Streams: []string{event.StreamNote}, Since: time.Hour, Ready: func() { close(s.ready) }}
		_ = bus.Tail(ctx, cfg, func(e event.Event) { // ends with ctx
			select {
			case <-s.let:
			case <-ctx.Done():
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.positions = append(s.positions, e.Position)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

func (s *slow) awaitReady(t *testing.T) []int64 {
	t.Helper()
	close(s.let)
	select {
	case <-s.ready:
	case <-time.After(patience):
		t.Fatal("never ready")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.positions
}

func TestATailHasCaughtUpWhenWhatItWaitsForIsForgotten(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	note := server.Bus(t, "note", telemetry.Discard())
	connected(t, note)
	publish(t, note, 10)
	publishIn(t, note, deleted, 2000, false) // more than is on its way at a time
	s := followSlowly(t, server.Bus(t, "gateway", telemetry.Discard()))
	s.let <- struct{}{} // it knows how much stands there
	publishIn(t, note, deleted, 1, true)
	forget(t, note)
	if got := s.awaitReady(t); got[len(got)-1] != 2011 || len(got) > 1500 {
		t.Errorf("ready after %d events, the last at %d", len(got), got[len(got)-1])
	}
}

func TestATailGoesOnBehindWhatWasForgotten(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	note := server.Bus(t, "note", telemetry.Discard())
	connected(t, note)
	publish(t, note, 5)
	publishIn(t, note, deleted, 300, false) // more than a batch, whose rest is handled whatever happens
	s := followSlowly(t, server.Bus(t, "gateway", telemetry.Discard()))
	for range 10 { // up to the fifth of those
		s.let <- struct{}{}
	}
	publishIn(t, note, deleted, 1, true)
	publish(t, note, 4)
	forget(t, note)
	server.Restart(t)
	got := s.awaitReady(t)
	seen := map[int64]bool{}
	for _, p := range got {
		if seen[p] {
			t.Errorf("%d came again: %v", p, got)
		}
		seen[p] = true
	}
}
