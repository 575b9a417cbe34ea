package admin_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
	"noteworks.dev/services/api/gen/admin/v1/adminv1connect"
	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/admin"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	workspace = "0190a5b4-0000-7000-8000-000000000001"
	consumer  = "note-test"
	patience  = 60 * time.Second
)

// tokens are the callers', by name.
var tokens = map[string]string{"admin": "admin-token-0123456789abcdef", "gateway": "gateway-token-0123456789ab"} //nolint:gochecknoglobals // never changed

func effects() fstest.MapFS {
	return fstest.MapFS{"00100_effects.sql": {Data: []byte(`-- +goose Up
create table effects (id bigint generated always as identity primary key, workspace_id uuid not null, event_id uuid not null, key text not null, value text not null);
`)}}
}

// world is a service with an outbox, a consumer of its events that may be told to fail, and an internal port.
type world struct {
	*pgtest.World
	nats   *natstest.Server
	outbox *outbox.Outbox
	log    *lines
	tel    *telemetry.Telemetry
	url    string
	admin  adminv1connect.EventServiceClient
	wrong  atomic.Pointer[error]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: pgtest.New(t, outbox.Migrations, inbox.Migrations, effects()), nats: natstest.Start(t), log: &lines{}}
	var err error
	if w.tel, err = telemetry.New(t.Context(), "note", config.Map(nil), w.log, telemetry.WithSpanProcessor(spantest.New())); err != nil {
		t.Fatal(err)
	}
	bus := w.nats.Bus(t, "note", w.tel)
	w.outbox = outbox.New(w.DB, bus, outbox.Config{Stream: event.StreamNote, Source: "note", Standby: 20 * time.Millisecond, Audit: 100 * time.Millisecond}, w.tel)
	in := inbox.New(w.DB, bus, inbox.Config{Consumer: consumer, Stream: event.StreamNote}, w.tel)
	inbox.On(in, w.handle)
	for _, part := range []part{w.outbox, in} {
		start(t, part)
	}
	w.serve(t, admin.Events{Bus: bus, Outbox: w.outbox, Consumers: []string{in.Consumer()}})
	w.admin = w.client("admin")
	return w
}

type part interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

func start(t *testing.T, p part) {
	t.Helper()
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

func (w *world) serve(t *testing.T, e admin.Events) {
	t.Helper()
	var list []string
	for name, token := range tokens {
		list = append(list, name+"="+token)
	}
	callers, err := rpc.NewStaticCallers(config.Secret(strings.Join(list, ",")))
	if err != nil {
		t.Fatal(err)
	}
	inner := rpc.NewServer(callers, w.tel)
	admin.Mount(inner, e, w.tel)
	server := httpserver.New("note rpc", "127.0.0.1:0", inner, w.tel, httpserver.WithH2C())
	start(t, server)
	w.url = "http://" + server.Addr()
}

// client calls as who.
func (w *world) client(who string) adminv1connect.EventServiceClient {
	introduce := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+tokens[who])
			return next(ctx, req)
		}
	})
	return adminv1connect.NewEventServiceClient(http.DefaultClient, w.url, connect.WithInterceptors(introduce))
}

// fail makes the handler answer err from now on, nil for none.
func (w *world) fail(err error) { w.wrong.Store(&err) }

func (w *world) handle(_ context.Context, tx inbox.Tx, m *notev1.NoteChanged) error {
	if wrong := w.wrong.Load(); wrong != nil && *wrong != nil {
		return *wrong
	}
	return tx.DB.Exec("insert into effects (workspace_id, event_id, key, value) values (?, ?, ?, ?)",
		tx.Event.WorkspaceID, tx.Event.ID, tx.Event.Key, m.GetTitle()).Error
}

// send commits events of a key, one transaction each, in a trace.
func (w *world) send(t *testing.T, key string, values ...string) {
	t.Helper()
	ctx, span := w.tel.Tracer().Start(t.Context(), "request")
	defer span.End()
	for _, value := range values {
		e, err := event.New(workspace, key, &notev1.NoteChanged{NoteId: key, Title: proto.String(value)})
		if err == nil {
			err = w.DB.InWorkspace(ctx, workspace, func(tx *gorm.DB) error { return w.outbox.Append(tx, e) })
		}
		if err != nil {
			t.Errorf("send: %v", err)
			return
		}
	}
}

// letters waits until n dead letters are listed.
func (w *world) letters(t *testing.T, n int) []*adminv1.DeadLetter {
	t.Helper()
	return w.lettersWhen(t, func(all []*adminv1.DeadLetter) bool { return len(all) == n })
}

func (w *world) lettersWhen(t *testing.T, wanted func([]*adminv1.DeadLetter) bool) (all []*adminv1.DeadLetter) {
	t.Helper()
	w.until(t, func() (bool, any) {
		res, err := w.admin.ListDeadLetters(t.Context(), connect.NewRequest(&adminv1.ListDeadLettersRequest{}))
		if err != nil {
			return false, err
		}
		all = res.Msg.GetDeadLetters()
		return wanted(all), all
	})
	return all
}

func (w *world) show(t *testing.T, number uint64, whole bool) *adminv1.DeadLetter {
	t.Helper()
	res, err := w.admin.GetDeadLetter(t.Context(), connect.NewRequest(&adminv1.GetDeadLetterRequest{Number: number, WithData: whole}))
	if err != nil {
		t.Fatal(err)
	}
	return res.Msg
}

func (w *world) replay(t *testing.T, number uint64) {
	t.Helper()
	res, err := w.admin.ReplayDeadLetter(t.Context(), connect.NewRequest(&adminv1.ReplayDeadLetterRequest{Number: number}))
	if err != nil || res.Msg.GetNumber() != number {
		t.Fatalf("replay %d: %v, %v", number, res, err)
	}
}

func (w *world) statusWhen(t *testing.T, wanted func(*adminv1.OutboxStatus) bool) (status *adminv1.OutboxStatus) {
	t.Helper()
	w.until(t, func() (bool, any) {
		res, err := w.admin.GetOutboxStatus(t.Context(), connect.NewRequest(&adminv1.GetOutboxStatusRequest{}))
		if err != nil {
			return false, err
		}
		status = res.Msg
		return wanted(status), status
	})
	return status
}

func (w *world) eventually(t *testing.T, query string, want int) {
	t.Helper()
	w.until(t, func() (bool, any) { n := w.Count(t, query); return n == want, n })
}

func (w *world) eventuallyAtLeast(t *testing.T, query string, want int) {
	t.Helper()
	w.until(t, func() (bool, any) { n := w.Count(t, query); return n >= want, n })
}

// until asks again and again; seen is what it saw instead.
func (w *world) until(t *testing.T, ask func() (done bool, seen any)) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, seen := ask()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain, last seen: %v", seen)
		}
	}
}

// lines is a log that may be written and read at once.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// line is the first with this in it.
func (l *lines) line(part string) string {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
