package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"
	"gorm.io/gorm"

	settings "noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	workspace = "0190a5b4-0000-7000-8000-000000000001"
	elsewhere = "0190a5b4-0000-7000-8000-000000000002"
	patience  = 60 * time.Second
)

// world is a database, a NATS server and what was committed.
type world struct {
	*pgtest.World
	nats *natstest.Server

	mu        sync.Mutex
	committed map[string][]string // key → ids of events in the order of their commits
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{World: pgtest.New(t, outbox.Migrations), nats: natstest.Start(t), committed: map[string][]string{}}
}

// config makes the outbox look at things more often than in production.
func config() outbox.Config {
	return outbox.Config{Stream: event.StreamNote, Source: "note", Standby: 20 * time.Millisecond, Audit: 100 * time.Millisecond}
}

// relay starts an outbox with a relay of its own connection, which stops with t if not before.
func (w *world) relay(t *testing.T) *outbox.Outbox {
	t.Helper()
	return w.relayTo(t, telemetry.Discard())
}

// measured is relay with metrics.
func (w *world) measured(t *testing.T) (*outbox.Outbox, *telemetry.Telemetry) {
	t.Helper()
	tel, err := telemetry.New(t.Context(), "note", settings.Map(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return w.relayTo(t, tel), tel
}

func (w *world) relayTo(t *testing.T, tel *telemetry.Telemetry) *outbox.Outbox {
	t.Helper()
	o := outbox.New(w.DB, w.nats.Bus(t, "note", tel), config(), tel)
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, o) })
	return o
}

func stop(t *testing.T, o *outbox.Outbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := o.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// kill ends a relay like the process it is in would.
func kill(o *outbox.Outbox) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = o.Stop(ctx) // cut short is what is wanted
}

func newEvent(t testing.TB, key, text string) event.Event {
	t.Helper()
	e, err := event.New(workspace, key, wrapperspb.String(text))
	if err != nil {
		t.Fatal(err)
	}
	e.Type = "note.v1.Tested"
	return e
}

// write commits n events of a key, one transaction each, and remembers their order.
func (w *world) write(t *testing.T, o *outbox.Outbox, key string, n int) {
	t.Helper()
	for i := range n {
		e := newEvent(t, key, fmt.Sprint(i))
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, e) })
		if err != nil {
			t.Errorf("write: %v", err)
			return
		}
		w.remember(e)
	}
}

// remember that events are committed.
func (w *world) remember(events ...event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		w.committed[e.Key] = append(w.committed[e.Key], e.ID)
	}
}

// total is how many events are committed.
func (w *world) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, ids := range w.committed {
		n += len(ids)
	}
	return n
}

// requireAll reads the stream until all that is committed has come at least once, and fails t if a key's order is broken.
func (w *world) requireAll(t *testing.T) {
	t.Helper()
	w.check(t, w.stream(t, w.total()))
}

// requireOnce also refuses doubles in the stream.
func (w *world) requireOnce(t *testing.T) {
	t.Helper()
	got := w.stream(t, w.total())
	w.check(t, got)
	if len(got) != w.total() {
		t.Errorf("%d messages for %d events", len(got), w.total())
	}
}

// stream reads until count different events have come.
func (w *world) stream(t *testing.T, count int) []event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	var got []event.Event
	seen := map[string]bool{}
	ready := false
	enough := func() {
		if ready && len(seen) >= count {
			cancel()
		}
	}
	var mu sync.Mutex
	cfg := event.TailConfig{Streams: []string{event.StreamNote}, Since: time.Hour, Ready: func() {
		mu.Lock()
		defer mu.Unlock()
		ready = true
		enough()
	}}
	err := bus.Tail(ctx, cfg, func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, e)
		seen[e.ID] = true
		enough()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%d of %d events in the stream: %v", len(seen), count, err)
	}
	return got
}

// check compares what was read with what was committed: nothing missing, and each key's events in order when they come first.
func (w *world) check(t *testing.T, got []event.Event) {
	t.Helper()
	seen := map[string]bool{}
	order := map[string][]string{}
	positions := event.Cursor{}
	for _, e := range got {
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		order[e.Key] = append(order[e.Key], e.ID)
		if e.Position <= positions[e.Lane] {
			t.Errorf("lane %d: %d after %d", e.Lane, e.Position, positions[e.Lane])
		}
		positions = positions.After(e.Lane, e.Position)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, want := range w.committed {
		if fmt.Sprint(order[key]) != fmt.Sprint(want) {
			t.Errorf("key %s: %d events read, %d committed, or in another order", key, len(order[key]), len(want))
		}
	}
}
