package inbox_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	workspace = "0190a5b4-0000-7000-8000-000000000001"
	elsewhere = "0190a5b4-0000-7000-8000-000000000002"
	patience  = 60 * time.Second
	consumer  = "note-test"
)

func effects() fstest.MapFS {
	return fstest.MapFS{"00100_effects.sql": {Data: []byte(`-- +goose Up
create table effects (id bigint generated always as identity primary key, workspace_id uuid not null, event_id uuid not null, key text not null, value text not null);
alter table effects enable row level security;
alter table effects force row level security;
create policy tenant on effects using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);
`)}}
}

// world is a service with an outbox, whose events its own inboxes consume.
type world struct {
	*pgtest.World
	nats   *natstest.Server
	outbox *outbox.Outbox

	mu   sync.Mutex
	sent map[string][]string // key → values, in order
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{World: pgtest.New(t, outbox.Migrations, inbox.Migrations, effects()), nats: natstest.Start(t), sent: map[string][]string{}}
	w.outbox = w.relay(t, telemetry.Discard())
	return w
}

func (w *world) relay(t testing.TB, tel *telemetry.Telemetry) *outbox.Outbox {
	t.Helper()
	cfg := outbox.Config{Stream: event.StreamNote, Source: "note", Standby: 20 * time.Millisecond, Audit: 100 * time.Millisecond}
	o := outbox.New(w.DB, w.nats.Bus(t, "note", tel), cfg, tel)
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, o) })
	return o
}

type stopper interface{ Stop(context.Context) error }

func stop(t testing.TB, s stopper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// kill ends it like the process it is in would.
func kill(s stopper) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Stop(ctx) // cut short is what is wanted
}

// config makes the inbox try again sooner than in production.
func config() inbox.Config {
	return inbox.Config{
		Consumer: consumer, Stream: event.StreamNote, AckWait: 500 * time.Millisecond,
		Retries: []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond},
	}
}

// consume starts an inbox whose handler records each event as an effect, after what first says.
func (w *world) consume(t testing.TB, cfg inbox.Config, tel *telemetry.Telemetry, first func(ctx context.Context, tx inbox.Tx, value string) error, opts ...func(*inbox.Inbox)) *inbox.Inbox {
	t.Helper()
	in := inbox.New(w.DB, w.nats.Bus(t, "note", tel), cfg, tel)
	inbox.On(in, func(ctx context.Context, tx inbox.Tx, m *notev1.NoteChanged) error {
		if first != nil {
			if err := first(ctx, tx, m.GetTitle()); err != nil {
				return err
			}
		}
		return record(tx, m.GetTitle())
	})
	for _, opt := range opts {
		opt(in)
	}
	if err := in.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, in) })
	return in
}

func record(tx inbox.Tx, value string) error {
	return tx.DB.Exec("insert into effects (workspace_id, event_id, key, value) values (?, ?, ?, ?)",
		tx.Event.WorkspaceID, tx.Event.ID, tx.Event.Key, value).Error
}

// newEvent says that the title of the note key changed to value.
func newEvent(t testing.TB, in, key, value string) event.Event {
	t.Helper()
	e, err := event.New(in, key, &notev1.NoteChanged{NoteId: key, Title: proto.String(value)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// send commits events of a key, one transaction each.
func (w *world) send(t testing.TB, key string, values ...string) {
	t.Helper()
	for _, value := range values {
		w.sendEvent(t, newEvent(t, workspace, key, value), value)
	}
}

func (w *world) sendEvent(t testing.TB, e event.Event, value string) {
	t.Helper()
	err := w.DB.InWorkspace(t.Context(), e.WorkspaceID, func(tx *gorm.DB) error { return w.outbox.Append(tx, e) })
	if err != nil {
		t.Errorf("send: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[e.Key] = append(w.sent[e.Key], value)
}

func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// requireEffects waits until everything that was sent took effect, and requires that it did so once and in order of each key.
func (w *world) requireEffects(t testing.TB) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	total := 0
	for _, values := range w.sent {
		total += len(values)
	}
	w.eventually(t, "select count(distinct event_id) from effects", total)
	if n := w.Count(t, "select count(*) from effects"); n != total {
		t.Errorf("%d effects of %d events", n, total)
	}
	for key, values := range w.sent {
		if got := w.values(t, key); fmt.Sprint(got) != fmt.Sprint(values) {
			t.Errorf("%s: effects %v, sent %v", key, got, values)
		}
	}
}

func (w *world) values(t testing.TB, key string) []string {
	t.Helper()
	rows, err := w.Superuser.Query(t.Context(), "select value from effects where key = $1 order by id", key)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// eventually asks until the answer is want.
func (w *world) eventually(t testing.TB, query string, want int) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
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

// deadLetters waits for n of them.
func (w *world) deadLetters(t testing.TB, n int) []event.DeadLetter {
	t.Helper()
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		letters, err := bus.DeadLetters(t.Context(), consumer, 0, 100)
		if err == nil && len(letters) == n {
			return letters
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%d dead letters, want %d (%v)", len(letters), n, err)
		}
	}
}
