package inbox_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/telemetry"
)

// BenchmarkInbox handles a backlog of events with one insert each.
func BenchmarkInbox(b *testing.B) {
	w := newWorld(b)
	const atATime = 500
	for sent := 0; sent < b.N; {
		events := make([]event.Event, min(atATime, b.N-sent))
		for i := range events {
			events[i] = newEvent(b, workspace, fmt.Sprintf("note-%d", i%50), "x")
		}
		if err := w.DB.InWorkspace(b.Context(), workspace, func(tx *gorm.DB) error { return w.outbox.Append(tx, events...) }); err != nil {
			b.Fatal(err)
		}
		sent += len(events)
	}
	b.ResetTimer()
	w.consume(b, inbox.Config{Consumer: consumer, Stream: event.StreamNote}, telemetry.Discard(), nil)
	w.eventually(b, "select count(*) from effects", b.N)
}

// BenchmarkCommitToEffect is open-loop: events are sent at a rate, and each is timed from when it was to be sent. It reports when its
// transaction had committed, when a tail had it, and when it had taken effect.
func BenchmarkCommitToEffect(b *testing.B) {
	for _, rate := range []int{500, 2000} {
		b.Run(fmt.Sprintf("%d a second", rate), func(b *testing.B) { atRate(b, rate) })
	}
}

func atRate(b *testing.B, rate int) {
	w := newWorld(b)
	var mu sync.Mutex
	arrived := map[string]time.Time{}
	effect := map[string]time.Time{}
	committed := map[string]time.Time{}
	begun := map[string]time.Time{}
	bus := w.nats.Bus(b, "gateway", telemetry.Discard())
	note := func(m map[string]time.Time, id string) {
		mu.Lock()
		defer mu.Unlock()
		m[id] = time.Now()
	}
	go func() {
		_ = bus.Tail(b.Context(), event.TailConfig{Streams: []string{event.StreamNote}, Since: time.Hour}, func(e event.Event) { note(arrived, e.ID) })
	}()
	in := inbox.New(w.DB, w.nats.Bus(b, "note", telemetry.Discard()), inbox.Config{Consumer: consumer, Stream: event.StreamNote}, telemetry.Discard())
	inbox.On(in, func(_ context.Context, tx inbox.Tx, _ *notev1.NoteChanged) error {
		note(effect, tx.Event.ID)
		return nil
	})
	if err := in.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer stop(b, in)
	w.send(b, "warm-up", numbers(0, 20)...)
	for all := false; !all; { // the streams are made and the readers have found them
		mu.Lock()
		all = len(arrived) == 20 && len(effect) == 20
		mu.Unlock()
		runtime.Gosched()
	}
	count := max(b.N, rate*5)
	due := make(chan time.Time, count)
	var writers sync.WaitGroup
	for i := range 12 {
		writers.Go(func() {
			for at := range due {
				e := newEvent(b, workspace, fmt.Sprintf("note-%d", i), "x")
				err := w.DB.InWorkspace(b.Context(), workspace, func(tx *gorm.DB) error { return w.outbox.Append(tx, e) })
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				begun[e.ID] = at
				committed[e.ID] = time.Now()
				mu.Unlock()
			}
		})
	}
	b.ResetTimer()
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < count; {
		now := <-tick.C
		for sent < count && time.Duration(sent)*time.Second/time.Duration(rate) <= now.Sub(start) {
			due <- start.Add(time.Duration(sent) * time.Second / time.Duration(rate))
			sent++
		}
	}
	close(due)
	writers.Wait()
	took := time.Since(start)
	for {
		<-tick.C
		mu.Lock()
		done := len(arrived) >= 20+count && len(effect) >= 20+count
		mu.Unlock()
		if done {
			break
		}
	}
	b.ReportMetric(float64(count)/took.Seconds(), "events/s")
	report(b, "commit", begun, committed)
	report(b, "commit→tail", committed, arrived)
	report(b, "commit→effect", committed, effect)
}

func report(b *testing.B, name string, from, to map[string]time.Time) {
	b.Helper()
	var all []time.Duration
	for id, at := range from {
		all = append(all, to[id].Sub(at))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, name+"-p99-ms")
}
