package event_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

// noteEvent is an event that the note service may publish, at a place of its outbox.
func noteEvent(t testing.TB, lane int, position int64, cursor event.Cursor) event.Event {
	t.Helper()
	e, err := event.New(workspace, "key", wrapperspb.String(fmt.Sprintf("%d/%d", lane, position)))
	if err != nil {
		t.Fatal(err)
	}
	e.Type = "note.v1.Tested"
	e.Source, e.Lane, e.Position, e.Cursor = "note", lane, position, cursor.After(lane, position).String()
	return e
}

// read returns all events of the stream, in order.
func read(t testing.TB, bus *event.Bus, stream string) []event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []event.Event
	err := bus.Tail(ctx, event.TailConfig{Streams: []string{stream}, Since: time.Hour, Ready: cancel}, func(e event.Event) { all = append(all, e) })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stream %s is not read to its end: %v", stream, err)
	}
	return all
}

func TestAChainContinuesTheStream(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t).Bus(t, "note", telemetry.Discard())
	connected(t, bus)
	const count = 3 * event.Window
	publish(t, bus, count/2)
	publish(t, bus, count/2) // a second chain goes on where the first ended
	end, err := bus.EndOf(t.Context(), event.StreamNote)
	if err != nil || end.Last != count || end.Cursor[0] != count || end.Missing != 0 || end.Messages != count {
		t.Fatalf("end %+v, %v", end, err)
	}
	for i, e := range read(t, bus, event.StreamNote) {
		if e.Position != int64(i+1) {
			t.Fatalf("event %d is at position %d", i, e.Position)
		}
	}
}

func publish(t testing.TB, bus *event.Bus, count int) {
	t.Helper()
	if err := tryPublish(t.Context(), t, bus, count); err != nil {
		t.Fatal(err)
	}
}

func tryPublish(ctx context.Context, t testing.TB, bus *event.Bus, count int) error {
	t.Helper()
	end, err := bus.EndOf(ctx, event.StreamNote)
	if err != nil {
		return err
	}
	chain, err := bus.Chain(event.StreamNote, end)
	if err != nil {
		return err
	}
	defer chain.Close()
	acked := make(chan error, count)
	for i := range count {
		e := noteEvent(t, 0, end.Cursor[0]+int64(i)+1, end.Cursor)
		if err := chain.Publish(ctx, e, func(err error) { acked <- err }); err != nil {
			return err
		}
	}
	if err := chain.Drain(ctx); err != nil {
		return err
	}
	for range count {
		if err := <-acked; err != nil {
			return err
		}
	}
	return nil
}

// available waits until JetStream answers: right after a restart the bus may still hold the old connection for good.
func available(t testing.TB, bus *event.Bus) event.End {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		end, err := bus.EndOf(t.Context(), event.StreamNote)
		if err == nil {
			return end
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal(err)
		}
	}
}

func connected(t testing.TB, bus *event.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := bus.Await(ctx, nil); err != nil {
		t.Fatal(err)
	}
}

// Two writers that both believe the stream is theirs, with different opinions on the order of events: whatever wins, the stream is
// a run of unbroken continuations.
func TestTwoChainsNeverMix(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	buses := []*event.Bus{server.Bus(t, "note", telemetry.Discard()), server.Bus(t, "note", telemetry.Discard())}
	connected(t, buses[0])
	connected(t, buses[1])
	const each = 40
	var all sync.WaitGroup
	for w, bus := range buses {
		all.Go(func() {
			for range each {
				burst(t, bus, w)
			}
		})
	}
	all.Wait()
	var cursor event.Cursor
	for i, e := range read(t, buses[0], event.StreamNote) {
		if e.Position != cursor[e.Lane]+1 {
			t.Fatalf("message %d is position %d of lane %d, after %d", i, e.Position, e.Lane, cursor[e.Lane])
		}
		cursor = cursor.After(e.Lane, e.Position)
		if e.Cursor != cursor.String() {
			t.Fatalf("message %d says %s, the stream is at %s", i, e.Cursor, cursor)
		}
	}
}

// burst publishes a window of events after what it sees, each writer preferring another lane, until it is fenced off.
func burst(t *testing.T, bus *event.Bus, w int) {
	end, err := bus.EndOf(t.Context(), event.StreamNote)
	if err != nil {
		t.Error(err)
		return
	}
	chain, err := bus.Chain(event.StreamNote, end)
	if err != nil {
		t.Error(err)
		return
	}
	defer chain.Close()
	cursor := end.Cursor
	for i := range 30 {
		lane := (w + i%2) % 2
		if i%5 == 0 {
			lane = w
		}
		e := noteEvent(t, lane, cursor[lane]+1, cursor)
		if chain.Publish(t.Context(), e, func(error) {}) != nil {
			break
		}
		cursor = cursor.After(lane, e.Position)
	}
	if err := chain.Drain(t.Context()); err != nil && !errors.Is(err, event.ErrFenced) {
		t.Errorf("failed with %v", err)
	}
}
