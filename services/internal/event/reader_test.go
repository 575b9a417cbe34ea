package event_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

// marks keeps a mark in memory.
type marks struct {
	mark    event.Mark
	forgets int
}

func (m *marks) Load(context.Context) (event.Mark, error) { return m.mark, nil }

func (m *marks) Forget(context.Context) error {
	m.mark = event.Mark{}
	m.forgets++
	return nil
}

// reading is a stream with ten messages and a reader of it.
type reading struct {
	server *natstest.Server
	bus    *event.Bus
	marks  *marks
	reader *event.Reader
}

func startReading(t *testing.T) *reading {
	t.Helper()
	r := &reading{server: natstest.Start(t), marks: &marks{}}
	r.bus = r.server.Bus(t, "note", telemetry.Discard())
	connected(t, r.bus)
	publish(t, r.bus, 10)
	r.reader = r.bus.Reader(event.ReaderConfig{Stream: event.StreamNote, Consumer: "note-test", AckWait: time.Minute}, r.marks)
	return r
}

// take opens a session, takes n deliveries, acknowledges and marks the first acks of them, and closes it.
func (r *reading) take(t *testing.T, n, acks int) []int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := r.reader.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var positions []int64
	for len(positions) < n {
		batch, err := s.Batch(ctx, n-len(positions))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range batch {
			positions = append(positions, d.Event.Position)
			if len(positions) > acks {
				continue
			}
			r.marks.mark = d.Mark()
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.settle(t, ctx, s)
	return positions
}

// settle waits until the server has seen the acknowledgements: it answers what came after them.
func (r *reading) settle(t *testing.T, ctx context.Context, s *event.Session) {
	t.Helper()
	if _, _, err := s.Pending(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsUnacknowledgedComesAgainFirstAndInOrder(t *testing.T) {
	t.Parallel()
	r := startReading(t)
	requireRun(t, r.take(t, 7, 3), 1, 7)
	requireRun(t, r.take(t, 7, 7), 4, 10)
	if r.marks.forgets != 0 {
		t.Error("it started over")
	}
}

func TestALostMarkStartsOver(t *testing.T) {
	t.Parallel()
	r := startReading(t)
	r.take(t, 5, 5)
	r.marks.mark = event.Mark{} // the database was restored
	requireRun(t, r.take(t, 10, 10), 1, 10)
	if r.marks.forgets != 1 {
		t.Errorf("forgotten %d times", r.marks.forgets)
	}
}

func TestAStreamThatBeginsLateIsNoReasonToStartOver(t *testing.T) {
	t.Parallel()
	r := startReading(t)
	if err := r.bus.Empty(t.Context(), event.StreamNote); err != nil {
		t.Fatal(err)
	}
	publish(t, r.bus, 5) // the cursor went with the messages: positions begin again
	for range 3 {
		requireRun(t, r.take(t, 5, 0), 1, 5)
	}
	if r.marks.forgets != 0 {
		t.Errorf("it started over %d times", r.marks.forgets)
	}
}

func TestAConsumerChangedByHandIsCorrected(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jetstream.ConsumerConfig){
		"can be changed back": func(c *jetstream.ConsumerConfig) { c.AckWait, c.MaxAckPending = time.Hour, 1 },
		"gives up":            func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 1 },
		"filters":             func(c *jetstream.ConsumerConfig) { c.FilterSubject = "ws.*.note.v1.Other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReading(t)
			r.take(t, 3, 3)
			r.edit(t, change)
			requireRun(t, r.take(t, 7, 7), 4, 10)
		})
	}
	t.Run("can not be changed back", func(t *testing.T) {
		t.Parallel()
		r := startReading(t)
		r.take(t, 3, 3)
		js := r.server.Admin(t)
		if err := js.DeleteConsumer(t.Context(), event.StreamNote, "note-test"); err != nil {
			t.Fatal(err)
		}
		cfg := jetstream.ConsumerConfig{Durable: "note-test", AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true}
		if _, err := js.CreateConsumer(t.Context(), event.StreamNote, cfg); err != nil {
			t.Fatal(err)
		}
		requireRun(t, r.take(t, 10, 10), 1, 10)
	})
}

func (r *reading) edit(t *testing.T, change func(*jetstream.ConsumerConfig)) {
	t.Helper()
	js := r.server.Admin(t)
	c, err := js.Consumer(t.Context(), event.StreamNote, "note-test")
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	change(&cfg)
	if _, err := js.UpdateConsumer(t.Context(), event.StreamNote, cfg); err != nil {
		t.Fatal(err)
	}
}

func TestABatchWaitsForOthersAsLongAsItIsToldAndNoLongerThanItIsFull(t *testing.T) {
	t.Parallel()
	r := startReading(t) // ten are there
	r.reader = r.bus.Reader(event.ReaderConfig{Stream: event.StreamNote, Consumer: "note-patient", Linger: time.Hour}, &marks{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := r.reader.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if batch, err := s.Batch(ctx, 10); err != nil || len(batch) != 10 {
		t.Fatalf("%d deliveries and %v, not the ten that fill the batch", len(batch), err)
	}
}
