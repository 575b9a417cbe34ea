package event_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

const patience = 60 * time.Second

// follower is a tail and what it got.
type follower struct {
	ready  chan struct{}
	mu     sync.Mutex
	events []event.Event
	more   chan struct{}
}

func follow(t *testing.T, bus *event.Bus, since time.Duration) *follower {
	t.Helper()
	f := &follower{ready: make(chan struct{}), more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cfg := event.TailConfig{Streams: []string{event.StreamUser, event.StreamNote}, Since: since, Ready: func() { close(f.ready) }}
		_ = bus.Tail(ctx, cfg, f.take) // ends with ctx
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

func (f *follower) take(e event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// until waits until position n of lane 0 has come, and returns the different positions in the order of their first coming.
func (f *follower) until(t *testing.T, n int64) []int64 {
	t.Helper()
	limit := time.After(patience)
	for {
		f.mu.Lock()
		var positions []int64
		seen := map[int64]bool{}
		for _, e := range f.events {
			if !seen[e.Position] {
				seen[e.Position] = true
				positions = append(positions, e.Position)
			}
		}
		f.mu.Unlock()
		if seen[n] {
			return positions
		}
		select {
		case <-f.more:
		case <-limit:
			t.Fatalf("position %d does not come, only %v", n, positions)
		}
	}
}

func requireRun(t *testing.T, got []int64, from, to int64) {
	t.Helper()
	if int64(len(got)) != to-from+1 {
		t.Fatalf("positions %v, want %d to %d", got, from, to)
	}
	for i, p := range got {
		if p != from+int64(i) {
			t.Fatalf("positions %v, want %d to %d", got, from, to)
		}
	}
}

func (f *follower) awaitReady(t *testing.T) {
	t.Helper()
	select {
	case <-f.ready:
	case <-time.After(patience):
		t.Fatal("never ready")
	}
}

func TestATailIsReadyWhenItHasCaughtUp(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	note := server.Bus(t, "note", telemetry.Discard())
	connected(t, note)
	publish(t, note, 100)
	f := follow(t, server.Bus(t, "gateway", telemetry.Discard()), time.Hour)
	f.awaitReady(t)
	f.mu.Lock()
	got := len(f.events)
	f.mu.Unlock()
	if got != 100 {
		t.Errorf("ready after %d of 100 events", got)
	}
	publish(t, note, 10)
	requireRun(t, f.until(t, 110), 1, 110)
}

func TestATailBeginsWithNow(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	note := server.Bus(t, "note", telemetry.Discard())
	connected(t, note)
	publish(t, note, 5)
	f := follow(t, server.Bus(t, "gateway", telemetry.Discard()), 0)
	f.awaitReady(t)
	publish(t, note, 5)
	requireRun(t, f.until(t, 10), 6, 10)
}

func TestATailOfStreamsThatAreNotThereYet(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	f := follow(t, server.Bus(t, "gateway", telemetry.Discard()), time.Hour)
	f.awaitReady(t)
	note := server.Bus(t, "note", telemetry.Discard())
	connected(t, note)
	publish(t, note, 5)
	requireRun(t, f.until(t, 5), 1, 5)
}

// refill is what a relay does to a stream that was lost: publish everything again, and go on.
func refill(t *testing.T, bus *event.Bus, upTo int) {
	t.Helper()
	publish(t, bus, upTo-int(available(t, bus).Cursor[0]))
}

func TestATailOutlivesNATS(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *natstest.Server){
		"restarted": func(t *testing.T, s *natstest.Server) { s.Restart(t) },
		"wiped":     func(t *testing.T, s *natstest.Server) { s.Wipe(t) },
		"truncated": func(t *testing.T, s *natstest.Server) { s.Truncate(t, event.StreamNote, 0.3) },
		"stream deleted": func(t *testing.T, s *natstest.Server) {
			if err := s.Admin(t).DeleteStream(t.Context(), event.StreamNote); err != nil {
				t.Error(err)
			}
		},
		"its consumer deleted": func(t *testing.T, s *natstest.Server) {
			js := s.Admin(t)
			stream, err := js.Stream(t.Context(), event.StreamNote)
			if err != nil {
				t.Fatal(err)
			}
			for name := range stream.ConsumerNames(t.Context()).Name() {
				if err := stream.DeleteConsumer(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			note := server.Bus(t, "note", telemetry.Discard())
			connected(t, note)
			publish(t, note, 50)
			f := follow(t, server.Bus(t, "gateway", telemetry.Discard()), time.Minute)
			f.awaitReady(t)
			requireRun(t, f.until(t, 50), 1, 50)
			fault(t, server)
			refill(t, note, 80)
			requireRun(t, f.until(t, 80), 1, 80)
		})
	}
}
