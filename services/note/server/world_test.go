package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	userv1 "noteworks.dev/services/api/gen/user/v1"
	"noteworks.dev/services/api/gen/user/v1/userv1connect"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	kitrpc "noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/note/server"
)

const (
	// patience is for waits that only a bug makes long.
	patience = 15 * time.Second

	noteToken     = "the token of note for user"
	operatorToken = "the token of user for note"
	keyID         = "test-key"
)

// world is a note service of its own, on a database and a NATS server of its own. The user service is a stand-in: its directory and its published
// keys answer over real HTTP, and its events come through a real outbox.
type world struct {
	t         testing.TB
	db        *pgtest.World
	nats      *natstest.Server
	srv       *server.Server
	cfg       server.Config
	spans     *spantest.Recorder
	logs      *logs
	user      *userStandIn
	workspace string
	heard     *heard
	clock     *clock
}

type option func(*server.Config)

func startWorld(t testing.TB, options ...option) *world {
	t.Helper()
	w := &world{
		t: t, db: pgtest.New(t, server.Migrations()...), nats: natstest.Start(t),
		spans: spantest.New(), logs: &logs{}, user: startUser(t), workspace: newID(), clock: &clock{},
	}
	w.cfg = server.Config{
		HTTPAddr: "127.0.0.1:0", RPCAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		Callers:        kitrpc.Callers{Tokens: "user=" + operatorToken},
		Database:       w.db.Config,
		NATS:           w.nats.Config("note"),
		User:           kitrpc.Config{URL: w.user.URL, Token: noteToken, Timeout: 2 * time.Second},
		TrashRetention: 30 * 24 * time.Hour,
		ShutdownGrace:  patience,
		Now:            w.clock.now,
	}
	w.cfg.Database.MigrateURL = "" // the template is migrated
	for _, set := range options {
		set(&w.cfg)
	}
	w.start()
	w.heard = listenTo(t, w.nats)
	return w
}

func (w *world) start() {
	w.t.Helper()
	tel, err := telemetry.New(w.t.Context(), "note", config.Map(nil), w.logs, telemetry.WithSpanProcessor(w.spans))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.srv, err = server.New(w.t.Context(), w.cfg, tel); err != nil {
		w.t.Fatal(err)
	}
	if err := w.srv.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	srv := w.srv
	w.t.Cleanup(func() {
		stop(w.t, srv)
		if w.t.Failed() {
			w.t.Logf("logs:\n%s", w.logs)
		}
	})
}

func stop(t testing.TB, srv *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// restart stops the service and starts it again on the same database.
func (w *world) restart() {
	w.t.Helper()
	stop(w.t, w.srv)
	w.start()
}

// clock is real time, moved.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// userStandIn answers what the note service asks of the user service: who somebody is, and the keys that tokens are signed with. Its own
// rules are tested with it; here only the generated contract counts.
type userStandIn struct {
	userv1connect.UnimplementedDirectoryServiceHandler
	*httptest.Server
	key ed25519.PrivateKey

	mu     sync.Mutex
	people map[string]*userv1.Person
	asked  int
	wait   func(context.Context)
}

// during is run by each question from now on, before its answer.
func (u *userStandIn) during(wait func(context.Context)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wait = wait
}

func startUser(t testing.TB) *userStandIn {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	callers, err := kitrpc.NewStaticCallers("note=" + noteToken)
	if err != nil {
		t.Fatal(err)
	}
	u := &userStandIn{key: private, people: map[string]*userv1.Person{}}
	inner := kitrpc.NewServer(callers, telemetry.Discard())
	inner.Mount(userv1connect.NewDirectoryServiceHandler(u, inner.Options()...))
	inner.Allow("note", userv1connect.DirectoryServiceGetPersonProcedure)
	keys, err := auth.KeySetDocument(map[string]ed25519.PublicKey{keyID: public})
	if err != nil {
		t.Fatal(err)
	}
	inner.Handle("GET /.well-known/jwks.json", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(keys)
	}))
	u.Server = httptest.NewServer(inner)
	t.Cleanup(u.Close)
	return u
}

func (u *userStandIn) GetPerson(ctx context.Context, r *connect.Request[userv1.GetPersonRequest]) (*connect.Response[userv1.Person], error) {
	u.mu.Lock()
	wait := u.wait
	u.mu.Unlock()
	if wait != nil {
		wait(ctx)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	p := u.people[r.Msg.GetWorkspaceId()+r.Msg.GetUserId()]
	if p == nil {
		return nil, errs.NotFound("person-not-found", "There is no such person.")
	}
	return connect.NewResponse(p), nil
}

func (u *userStandIn) timesAsked() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked
}

func (u *userStandIn) token(t testing.TB, workspace, person string, at time.Time) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, auth.NewClaims(person, workspace, newID(), at))
	token.Header["kid"] = keyID
	text, err := token.SignedString(u.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// events is the user service's outbox: what it appends goes out on the USER stream.
type events struct {
	w      *world
	db     *pg.DB
	outbox *outbox.Outbox
}

func (w *world) userEvents() *events {
	w.t.Helper()
	db := pgtest.New(w.t, outbox.Migrations)
	out := outbox.New(db.DB, w.nats.Bus(w.t, "user", telemetry.Discard()), outbox.Config{Stream: event.StreamUser, Source: "user"}, telemetry.Discard())
	if err := out.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := out.Stop(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return &events{w, db.DB, out}
}

// say publishes messages about one person or the workspace, in order.
func (e *events) say(key string, messages ...proto.Message) {
	e.w.t.Helper()
	err := e.db.InWorkspace(e.w.t.Context(), e.w.workspace, func(tx *gorm.DB) error {
		for _, m := range messages {
			one, err := event.New(e.w.workspace, key, m)
			if err != nil {
				return err
			}
			if err := e.outbox.Append(tx, one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		e.w.t.Fatal(err)
	}
}

// heard is what the note service said, as the gateway hears it.
type heard struct {
	t    testing.TB
	mu   sync.Mutex
	all  []event.Event
	news chan struct{}
}

func listenTo(t testing.TB, nats *natstest.Server) *heard {
	h := &heard{t: t, news: make(chan struct{})}
	bus := nats.Bus(t, "gateway", telemetry.Discard())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = bus.Tail(ctx, event.TailConfig{Streams: []string{event.StreamNote}, Since: time.Hour}, h.take)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func (h *heard) take(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
	close(h.news)
	h.news = make(chan struct{})
}

func (h *heard) snapshot() ([]event.Event, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all), h.news
}

// until waits until find is content with what was heard.
func (h *heard) until(what string, find func([]event.Event) bool) []event.Event {
	h.t.Helper()
	deadline := time.After(patience)
	for {
		all, news := h.snapshot()
		if find(all) {
			return all
		}
		select {
		case <-news:
		case <-deadline:
			h.t.Fatalf("%s was not heard; heard: %s", what, summary(all))
		}
	}
}

func summary(all []event.Event) string {
	var text bytes.Buffer
	for _, e := range all {
		fmt.Fprintf(&text, "\n%s %s for %v", e.Type, e.Data, e.Audience)
	}
	return text.String()
}

// about waits for the first event of a type about a note and returns it as an M.
func about[M proto.Message](h *heard, noteID string) (M, event.Event) {
	h.t.Helper()
	all := allAbout[M](h, noteID, 1)
	m, err := event.Decode[M](all[0])
	if err != nil {
		h.t.Fatal(err)
	}
	return m, all[0]
}

// allAbout waits for n events of a type about a note.
func allAbout[M proto.Message](h *heard, noteID string, n int) []event.Event {
	h.t.Helper()
	var typed M
	name := string(typed.ProtoReflect().Descriptor().FullName())
	var found []event.Event
	h.until(fmt.Sprintf("%d of %s about %s", n, name, noteID), func(all []event.Event) bool {
		found = nil
		for _, e := range all {
			if e.Type == name && bytes.Contains(e.Data, []byte(noteID)) {
				found = append(found, e)
			}
		}
		return len(found) >= n
	})
	return found
}

// person is somebody who is signed in.
type person struct {
	w                          *world
	t                          testing.TB
	id, name, workspace, token string
}

// person joins the world's workspace; the service's copy knows them.
func (w *world) person(name string) *person {
	w.t.Helper()
	p := w.stranger(name)
	w.db.Exec(w.t, `insert into people (workspace_id, id, name, name_version, active, active_version) values ($1, $2, $3, 1, true, 1)`, p.workspace, p.id, name)
	return p
}

// stranger is in the directory, and the service's copy does not know them yet.
func (w *world) stranger(name string) *person {
	w.t.Helper()
	return w.personOf(w.workspace, name)
}

// rowOf locks the row of a note.
const rowOf = "select from notes where id = $1 for update"

// locks has somebody else execute statement and hold what it locked until released, which commits.
func (w *world) locks(statement string, args ...any) (release func()) {
	w.t.Helper()
	ctx := w.t.Context()
	tx, err := w.db.Superuser.Begin(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }) // where it was not released
	if _, err := tx.Exec(ctx, statement, args...); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		if err := tx.Commit(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
}

// waiting is how many statements wait for somebody's lock.
func (w *world) waiting() int {
	w.t.Helper()
	return w.db.Count(w.t, "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
}

func (w *world) personOf(workspace, name string) *person {
	w.t.Helper()
	p := &person{w: w, t: w.t, id: newID(), name: name, workspace: workspace}
	w.user.mu.Lock()
	w.user.people[workspace+p.id] = &userv1.Person{UserId: p.id, Name: name, Active: true, Version: 1}
	w.user.mu.Unlock()
	p.token = w.user.token(w.t, workspace, p.id, w.clock.now())
	return p
}

// in is the same person, reporting to t.
func (p *person) in(t testing.TB) *person {
	q := *p
	q.t = t
	return &q
}

// answer is what the service said.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

type header struct{ name, value string }

func ifMatch(version int32) header { return header{"If-Match", fmt.Sprintf("%q", fmt.Sprint(version))} }

// do sends body, which is marshalled unless it is a string, and reads the whole answer.
func (p *person) do(method, path string, body any, headers ...header) answer {
	p.t.Helper()
	return p.doContext(p.t.Context(), method, path, body, headers...)
}

func (p *person) doContext(ctx context.Context, method, path string, body any, headers ...header) answer {
	p.t.Helper()
	res, err := p.send(ctx, method, path, body, headers...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{p.t, method + " " + path, res.StatusCode, res.Header, text}
}

func (p *person) send(ctx context.Context, method, path string, body any, headers ...header) (*http.Response, error) {
	p.t.Helper()
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		content = bytes.NewBufferString(body)
	case io.Reader:
		content = body
	default:
		text, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.w.srv.HTTPAddr()+path, content)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		req.Header.Add(h.name, h.value)
		if h.name == "Host" {
			req.Host = h.value
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d, want %d: %s", a.what, a.status, status, a.body)
	}
	return a
}

// problem wants a problem with this status and code.
func (a answer) problem(status int, code string) answer {
	a.t.Helper()
	a.want(status)
	var p struct{ Code, TraceID, Type string }
	if err := json.Unmarshal(a.body, &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("%s: not a problem: %s", a.what, a.body)
	}
	if p.Code != code {
		a.t.Fatalf("%s: code %q, want %q: %s", a.what, p.Code, code, a.body)
	}
	return a
}

func read[T any](a answer) (v T) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	return v
}

// eventually asks check again and again until it is true.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !check() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not happen within %s", what, patience)
		}
	}
}

func decode[M proto.Message](t testing.TB, e event.Event) M {
	t.Helper()
	m, err := event.Decode[M](e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
