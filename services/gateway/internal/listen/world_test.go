package listen_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"noteworks.dev/services/gateway/internal/listen"
	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	workspace = "0190aaaa-0000-7000-8000-000000000001"
	patience  = 20 * time.Second
)

// world is a hub that listens to a NATS server of its own, and the outboxes of both services as their relays would publish them.
type world struct {
	t        *testing.T
	nats     *natstest.Server
	spans    *spantest.Recorder
	tel      *telemetry.Telemetry
	hub      *live.Hub
	listener *listen.Listener
	changed  chan string

	user, note *outbox
}

func startWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.user.ensure()
	w.note.ensure()
	w.listen()
	return w
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, nats: natstest.Start(t), spans: spantest.New(), changed: make(chan string, 100)}
	var err error
	w.tel, err = telemetry.New(t.Context(), "gateway", config.Map(nil), testLog{t}, telemetry.WithSpanProcessor(w.spans))
	if err != nil {
		t.Fatal(err)
	}
	w.hub = live.NewHub(live.Limits{}, time.Now)
	w.user = &outbox{t: t, bus: w.nats.Bus(t, "user", w.tel), stream: event.StreamUser}
	w.note = &outbox{t: t, bus: w.nats.Bus(t, "note", w.tel), stream: event.StreamNote}
	return w
}

// listen starts the listener, which ends with the test.
func (w *world) listen() {
	w.t.Helper()
	w.listener = listen.New(w.nats.Bus(w.t, "gateway", w.tel), w.hub, w, w.tel)
	if err := w.listener.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.listener.Stop(context.Background()) })
}

// Changed makes the world the listener's Workspaces.
func (w *world) Changed(id string) { w.changed <- id }

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) { return len(b), nil }

// outbox is all the events that a service has ever published, and the relay that can publish them again.
type outbox struct {
	t      *testing.T
	bus    *event.Bus
	stream string
	past   []event.Event
	at     event.Cursor
}

func (o *outbox) ensure() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o.end(ctx)
}

// end makes sure of the stream. It asks again, as the relay does, when the connection turns out to be one to a server that is gone.
func (o *outbox) end(ctx context.Context) event.End {
	o.t.Helper()
	for {
		if err := o.bus.Await(ctx, nil); err != nil {
			o.t.Fatal(err)
		}
		end, err := o.bus.EndOf(ctx, o.stream)
		if err == nil {
			return end
		}
		if !errors.Is(err, event.ErrDisconnected) || ctx.Err() != nil {
			o.t.Fatal(err)
		}
	}
}

// write keeps an event without publishing it.
func (o *outbox) write(key string, msg proto.Message, audience ...string) event.Event {
	o.t.Helper()
	e, err := event.New(workspace, key, msg, audience...)
	if err != nil {
		o.t.Fatal(err)
	}
	e.Lane = event.LaneOf(key)
	e.Position = o.at[e.Lane] + 3 // positions have holes
	o.at = o.at.After(e.Lane, e.Position)
	e.Source, e.Cursor = o.stream, o.at.String()
	o.past = append(o.past, e)
	return e
}

// happen is write and publish.
func (o *outbox) happen(key string, msg proto.Message, audience ...string) event.Event {
	o.t.Helper()
	e := o.write(key, msg, audience...)
	o.publish(e)
	return e
}

func (o *outbox) publish(events ...event.Event) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	chain, err := o.bus.Chain(o.stream, o.end(ctx))
	if err != nil {
		o.t.Fatal(err)
	}
	defer chain.Close()
	for _, e := range events {
		if err := chain.Publish(ctx, e, func(error) {}); err != nil {
			o.t.Fatal(err)
		}
	}
	if err := chain.Drain(ctx); err != nil {
		o.t.Fatal(err)
	}
}

// browser collects the frames of a person.
type browser struct {
	t      *testing.T
	client *live.Client
	news   chan struct{}

	mu     sync.Mutex
	frames []frame
	read   int
}

type frame struct {
	Type, Event, ID, Cursor, Code string
	Data                          json.RawMessage
}

func (w *world) browser(person, since string) *browser {
	w.t.Helper()
	b := &browser{t: w.t, news: make(chan struct{}, 1)}
	b.client = w.hub.NewClient(b.take, func() {})
	who := live.Identity{Person: person, Workspace: workspace, Session: "s-" + person, Expires: time.Now().Add(5 * time.Minute)}
	if err := w.hub.Join(b.client, who, since); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// take is the queue's wake.
func (b *browser) take() {
	go func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for {
			taken, done := b.client.Take(nil, 1<<20)
			for _, f := range taken {
				var got frame
				wire := f.Wire()
				for len(wire) > 0 && wire[0] != '{' {
					wire = wire[1:]
				}
				if err := json.Unmarshal(wire, &got); err != nil {
					b.t.Errorf("frame %q: %v", f.Wire(), err)
				}
				b.frames = append(b.frames, got)
			}
			if len(taken) > 0 {
				select {
				case b.news <- struct{}{}:
				default:
				}
			}
			if done || len(taken) == 0 {
				return
			}
		}
	}()
}

// next waits for the next frame.
func (b *browser) next() frame {
	b.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		b.mu.Lock()
		if b.read < len(b.frames) {
			b.read++
			defer b.mu.Unlock()
			return b.frames[b.read-1]
		}
		b.mu.Unlock()
		select {
		case <-b.news:
		case <-deadline.C:
			b.t.Fatal("no further frame")
		}
	}
}

func (b *browser) wants(events ...event.Event) {
	b.t.Helper()
	for _, want := range events {
		if got := b.next(); got.ID != want.ID {
			b.t.Fatalf("got %+v where %s %s was due", got, want.Type, want.ID)
		}
	}
}

func (b *browser) isReady() frame {
	b.t.Helper()
	f := b.next()
	if f.Type != "ready" {
		b.t.Fatalf("not ready but %+v", f)
	}
	return f
}

// counts is how often each event was seen so far.
func (b *browser) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[string]int{}
	for _, f := range b.frames {
		if f.Type == "event" {
			n[f.ID]++
		}
	}
	return n
}
