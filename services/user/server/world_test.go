package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/server"
)

const (
	operatorToken = "operator-token-of-the-tests"
	noteToken     = "note-token-of-the-tests-also"
	password      = "the owl of minerva"
	patience      = 20 * time.Second
)

// world is the service on a cloned database and a private NATS server.
type world struct {
	t      *testing.T
	db     *pgtest.World
	nats   *natstest.Server
	clock  *clock
	spans  *spantest.Recorder
	logs   *lockedBuffer
	server *server.Server
	cfg    server.Config
	http   *http.Client
}

// clock is the real one, moved by hand.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return time.Now().Add(c.offset) }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.offset += d }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

type change func(*server.Config)

// startWorld has the workspace default, with its owner.
func startWorld(t *testing.T, changes ...change) *world {
	t.Helper()
	return startOn(t, pgtest.New(t, server.Migrations()...), changes...)
}

func startOn(t *testing.T, db *pgtest.World, changes ...change) *world {
	t.Helper()
	w := &world{
		t: t, db: db, nats: natstest.Start(t), clock: &clock{}, spans: spantest.New(), logs: &lockedBuffer{},
		http: &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	t.Cleanup(w.http.CloseIdleConnections)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the service's log:\n%s", w.logs)
		}
	})
	w.cfg = w.config(changes...)
	w.server = w.start(w.cfg)
	w.apply("default")
	return w
}

func (w *world) config(changes ...change) server.Config {
	w.t.Helper()
	cfg, err := config.Load[server.Config](config.Map(map[string]string{
		"HTTP_ADDR": "127.0.0.1:0", "RPC_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0",
		"DATABASE_URL":                  w.db.Config.URL.Reveal(),
		"RPC_CALLERS":                   "operator=" + operatorToken + ",note=" + noteToken,
		"RATE_LIMIT_ADDRESS_PER_MINUTE": "1000000", "RATE_LIMIT_ADDRESS_BURST": "1000000",
		"RATE_LIMIT_ACCOUNT_PER_MINUTE": "1000000", "RATE_LIMIT_ACCOUNT_BURST": "1000000",
		"PASSWORD_QUEUE": "1000", "SHUTDOWN_LINGER": "0s",
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Database, cfg.NATS, cfg.Now = w.db.Config, w.nats.Config("user"), w.clock.now
	for _, c := range changes {
		c(&cfg)
	}
	return cfg
}

// start starts another replica of the service.
func (w *world) start(cfg server.Config) *server.Server {
	w.t.Helper()
	tel, err := telemetry.New(w.t.Context(), "user", config.Map(nil), w.logs, telemetry.WithSpanProcessor(w.spans))
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := server.New(w.t.Context(), cfg, tel)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(s) })
	return s
}

func (w *world) stop(s *server.Server) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

// requireQuiet fails the test when the service logged an error.
func (w *world) requireQuiet() {
	w.t.Helper()
	for line := range strings.SplitSeq(w.logs.String(), "\n") {
		if strings.Contains(line, `"level":"ERROR"`) {
			w.t.Errorf("logged: %s", line)
		}
	}
}

func (w *world) operator() workspacev1connect.WorkspaceServiceClient {
	client, options := rpc.NewClient(rpc.Config{URL: "http://" + w.server.RPCAddr(), Token: operatorToken, Timeout: patience}, telemetry.Discard())
	w.t.Cleanup(client.CloseIdleConnections)
	return workspacev1connect.NewWorkspaceServiceClient(client, "http://"+w.server.RPCAddr(), options...)
}

func wanted(id, slug string) *workspacev1.ApplyWorkspaceRequest {
	return &workspacev1.ApplyWorkspaceRequest{
		WorkspaceId: id, Slug: slug, Title: "The " + slug,
		Owner: &workspacev1.Owner{Email: ownerEmail(slug), Name: "Olga " + slug, InitialPassword: password},
	}
}

func ownerEmail(slug string) string { return "owner@" + slug + ".example" }

// apply makes a workspace of its own id.
func (w *world) apply(slug string) *workspacev1.Workspace {
	w.t.Helper()
	res, err := w.operator().ApplyWorkspace(w.t.Context(), connect.NewRequest(wanted(newID(w.t), slug)))
	if err != nil {
		w.t.Fatalf("apply %s: %v", slug, err)
	}
	return res.Msg
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// browser is one person's, at one workspace.
type browser struct {
	w      *world
	host   string
	addr   string
	cookie string
	token  string
	user   user
}

type user struct {
	ID, Email, Name, Role string
	Active                bool
	CreatedAt             time.Time
}

func (w *world) browser(slug string) *browser {
	host := "localhost:8080"
	if slug != "default" {
		host = slug + "." + host
	}
	return &browser{w: w, host: host, addr: w.server.HTTPAddr()}
}

// signUp is a new member of default.
func (w *world) signUp(name string) *browser {
	w.t.Helper()
	b := w.browser("default")
	b.register(name).require(w.t, http.StatusCreated)
	return b
}

func (w *world) owner(slug string) *browser {
	w.t.Helper()
	b := w.browser(slug)
	b.login(ownerEmail(slug), password).require(w.t, http.StatusOK)
	return b
}

func (b *browser) register(name string) *answer {
	b.w.t.Helper()
	email := strings.ToLower(name) + "@example.org"
	return b.signedIn(b.post("/api/v1/auth/register", map[string]string{"email": email, "name": name, "password": password}))
}

func (b *browser) login(email, password string) *answer {
	b.w.t.Helper()
	return b.signedIn(b.post("/api/v1/auth/login", map[string]string{"email": email, "password": password}))
}

func (b *browser) refresh() *answer {
	b.w.t.Helper()
	return b.signedIn(b.post("/api/v1/auth/refresh", nil))
}

// signedIn keeps what a browser keeps.
func (b *browser) signedIn(a *answer) *answer {
	b.w.t.Helper()
	for _, c := range a.cookies() {
		if c.Name == "nw_refresh" {
			b.cookie = c.Value
		}
	}
	if a.status >= http.StatusBadRequest {
		return a
	}
	var body struct {
		User        user
		AccessToken string
	}
	a.decode(b.w.t, &body)
	b.token, b.user = body.AccessToken, body.User
	return a
}

func (b *browser) get(path string) *answer { b.w.t.Helper(); return b.do(http.MethodGet, path, nil) }
func (b *browser) post(path string, body any) *answer {
	b.w.t.Helper()
	return b.do(http.MethodPost, path, body)
}

func (b *browser) patch(path string, body any) *answer {
	b.w.t.Helper()
	return b.do(http.MethodPatch, path, body)
}

// do sends JSON, or text as it is.
func (b *browser) do(method, path string, body any, tweaks ...func(*http.Request)) *answer {
	b.w.t.Helper()
	var content io.Reader = http.NoBody
	switch body := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			b.w.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, "http://"+b.addr+path, content)
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Host = b.host
	if content != http.NoBody {
		r.Header.Set("Content-Type", "application/json")
	}
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	if b.cookie != "" && strings.HasPrefix(path, "/api/v1/auth/") {
		r.AddCookie(&http.Cookie{Name: "nw_refresh", Value: b.cookie})
	}
	for _, tweak := range tweaks {
		tweak(r)
	}
	return b.w.send(r)
}

func (w *world) send(r *http.Request) *answer {
	w.t.Helper()
	res, err := w.http.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return &answer{what: r.Method + " " + r.URL.Path, status: res.StatusCode, header: res.Header, body: body}
}

type answer struct {
	what   string
	status int
	header http.Header
	body   []byte
}

func (a *answer) require(t *testing.T, status int) *answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s answers %d: %s; want %d", a.what, a.status, a.body, status)
	}
	return a
}

// refused requires a problem of this status and code, with a trace id.
func (a *answer) refused(t *testing.T, status int, code string) *answer {
	t.Helper()
	var p struct{ Type, Title, Code, Detail, TraceID string }
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s answers %d %s: %.300s; want %d %s", a.what, a.status, a.header.Get("Content-Type"), a.body, status, code)
		return a
	}
	a.decode(t, &p)
	if p.Code != code || p.Title == "" || p.TraceID == "" {
		t.Errorf("%s answers %s; want code %s, a title and a trace id", a.what, a.body, code)
	}
	return a
}

func (a *answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%s answers what is no JSON: %s", a.what, a.body)
	}
}

func (a *answer) cookies() []*http.Cookie { return (&http.Response{Header: a.header}).Cookies() }

// told is an event as it stands in the outbox.
type told struct {
	Type, Workspace string
	Data            map[string]any
}

// told is every event so far, in the order of a workspace's.
func (w *world) told() []told {
	w.t.Helper()
	rows, err := w.db.Superuser.Query(w.t.Context(), "select type, workspace_id::text, data::jsonb from outbox order by id")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var all []told
	for rows.Next() {
		var e told
		if err := rows.Scan(&e.Type, &e.Workspace, &e.Data); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// since runs do and answers what was told meanwhile.
func (w *world) since(do func()) []told {
	w.t.Helper()
	before := len(w.told())
	do()
	return w.told()[before:]
}

func types(events []told) string {
	names := make([]string, 0, len(events))
	for _, e := range events {
		names = append(names, e.Type)
	}
	return strings.Join(names, " ")
}

func requireTypes(t *testing.T, events []told, want string) {
	t.Helper()
	if got := types(events); got != want {
		t.Fatalf("told %q, want %q", got, want)
	}
}

func codeOf(err error) connect.Code {
	var c *connect.Error
	if errors.As(err, &c) {
		return c.Code()
	}
	return 0
}

func deletion(id string) *connect.Request[workspacev1.DeleteWorkspaceRequest] {
	return connect.NewRequest(&workspacev1.DeleteWorkspaceRequest{WorkspaceId: id})
}
