package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

func benchWorld(b *testing.B) *world {
	b.Helper()
	return &world{World: pgtest.New(b, outbox.Migrations), nats: natstest.Start(b), committed: map[string][]string{}}
}

// BenchmarkAppend is a transaction with nothing in it but events, beside the same transaction without them.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			w := benchWorld(b)
			o := outbox.New(w.DB, w.nats.Bus(b, "note", telemetry.Discard()), config(), telemetry.Discard())
			for b.Loop() {
				events := make([]event.Event, n)
				for i := range events {
					events[i] = newEvent(b, "note", "x")
				}
				err := w.DB.InWorkspace(b.Context(), workspace, func(tx *gorm.DB) error {
					if n == 0 {
						return tx.Exec("select 1").Error
					}
					return o.Append(tx, events...)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCommitToStream is the time from a commit to the event's arrival at a reader of the stream, with nothing else going on.
func BenchmarkCommitToStream(b *testing.B) {
	w := benchWorld(b)
	o := outbox.New(w.DB, w.nats.Bus(b, "note", telemetry.Discard()), outbox.Config{Stream: event.StreamNote, Source: "note"}, telemetry.Discard())
	if err := o.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer kill(o)
	bus := w.nats.Bus(b, "gateway", telemetry.Discard())
	arrived := make(chan time.Time, 1)
	go func() {
		_ = bus.Tail(b.Context(), event.TailConfig{Streams: []string{event.StreamNote}, Since: time.Hour}, func(event.Event) { arrived <- time.Now() })
	}()
	var total time.Duration
	for b.Loop() {
		e := newEvent(b, "note", "x")
		if err := w.DB.InWorkspace(b.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, e) }); err != nil {
			b.Fatal(err)
		}
		committed := time.Now()
		total += (<-arrived).Sub(committed)
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/commit→tail")
}

// BenchmarkLook is one look of the relay that finds nothing, which it takes ten times a second, and one that finds one event, in a table with a
// partition for each day of the retention.
func BenchmarkLook(b *testing.B) {
	w := benchWorld(b)
	o := outbox.New(w.DB, w.nats.Bus(b, "note", telemetry.Discard()), config(), telemetry.Discard())
	w.Exec(b, "do $$ begin for n in 0..10 loop perform outbox_add_partition(n, 10000000000); end loop; end $$")
	const first = 8 * 10_000_000_000 // the days before are there, and full of what is done
	w.Exec(b, "select setval('outbox_id', $1, false)", first)
	events := make([]event.Event, 1000)
	for i := range events {
		events[i] = newEvent(b, fmt.Sprint(i), "x")
	}
	if err := w.DB.InWorkspace(b.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, events...) }); err != nil {
		b.Fatal(err)
	}
	w.Exec(b, "analyze outbox")
	read, end, err := outbox.Reader(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer end()
	for name, from := range map[string]int64{"nothing": first + 999, "one event": first + 998} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := read(event.Cursor{from, from, from, from}); err != nil || n != int(first+999-from) {
					b.Fatal(n, err)
				}
			}
		})
	}
}
