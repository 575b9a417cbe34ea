package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	here  = "0190aaaa-0000-7000-8000-000000000001" // the workspace of localhost
	there = "0190aaaa-0000-7000-8000-000000000002" // of other.localhost
	// patience is for what only a bug makes slow.
	patience = 20 * time.Second
	kid      = "k1"
)

// world is a whole gateway between a client and stand-ins for its services, on a NATS server of its own.
type world struct {
	t          testing.TB
	nats       *natstest.Server
	spans      *spantest.Recorder
	tel        *telemetry.Telemetry
	log        *lines
	user, note *upstream
	key        ed25519.PrivateKey
	gateway    *Server
	client     *http.Client
	facts      *facts

	mu     sync.Mutex
	policy policy
}

// policy is what the user service says of the workspace of localhost.
type policy struct {
	Suspended         bool `json:"suspended,omitempty"`
	RequestsPerMinute int  `json:"requestsPerMinute,omitempty"`
}

func startWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, nats: natstest.Start(t), spans: spantest.New(), log: &lines{}}
	var err error
	if w.tel, err = telemetry.New(t.Context(), "gateway", config.Map(nil), w.log, telemetry.WithSpanProcessor(w.spans)); err != nil {
		t.Fatal(err)
	}
	if _, w.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.user, w.note = startUpstream(t), startUpstream(t)
	w.user.handle("/api/v1/workspace", w.workspace)
	w.user.handle("/.well-known/jwks.json", w.jwks)
	w.facts = startFacts(t, w.nats, w.tel)
	cfg := Config{
		HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		UserHTTPURL: w.user.srv.URL, NoteHTTPURL: w.note.srv.URL, UserRPCURL: w.user.srv.URL,
		WebDir: appDir(t), NATS: w.nats.Config("gateway"), ShutdownGrace: patience, RequestTimeout: patience,
	}
	cfg.Live.MaxSockets = 3000
	for _, c := range change {
		c(&cfg)
	}
	if w.gateway, err = New(t.Context(), cfg, w.tel); err != nil {
		t.Fatal(err)
	}
	if err := w.gateway.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	transport := &http.Transport{DialContext: w.dial, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.gateway.Stop(ctx); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

// dial takes every name for the gateway's.
func (w *world) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", w.gateway.HTTPAddr())
}

func appDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte(`<!doctype html><title>app</title><meta name="csp-nonce" content="__CSP_NONCE__">`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// workspace answers as the user service: by host.
func (w *world) workspace(rw http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	id := map[string]string{"localhost": here, "other.localhost": there}[host]
	if id == "" {
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(rw, `{"code":"workspace-not-found","status":404}`)
		return
	}
	said := struct {
		ID     string `json:"id"`
		Slug   string `json:"slug"`
		Title  string `json:"title"`
		SignUp string `json:"signUp"`
		policy
	}{ID: id, Slug: "s", Title: "T", SignUp: "open"}
	if id == here {
		w.mu.Lock()
		said.policy = w.policy
		w.mu.Unlock()
	}
	_ = json.NewEncoder(rw).Encode(said)
}

// apply changes the workspace of localhost as an administrator does, and tells of it.
func (w *world) apply(p policy) {
	w.t.Helper()
	w.mu.Lock()
	w.policy = p
	w.mu.Unlock()
	w.facts.publish(here, here, &workspacev1.WorkspaceApplied{WorkspaceId: here, Policy: &workspacev1.Policy{
		Suspended: p.Suspended, Limits: &workspacev1.Limits{RequestsPerMinute: int32(p.RequestsPerMinute)}, //nolint:gosec // a test's
	}})
}

func (w *world) jwks(rw http.ResponseWriter, _ *http.Request) {
	doc, err := auth.KeySetDocument(map[string]ed25519.PublicKey{kid: w.key.Public().(ed25519.PublicKey)})
	if err != nil {
		w.t.Error(err)
	}
	_, _ = rw.Write(doc)
}

// person is someone with an access token.
type person struct{ id, session, workspace, token string }

func (w *world) person(workspace string) person {
	w.t.Helper()
	p := person{id: uuid.Must(uuid.NewV7()).String(), session: uuid.Must(uuid.NewV7()).String(), workspace: workspace}
	p.token = w.sign(auth.NewClaims(p.id, workspace, p.session, time.Now()))
	return p
}

func (w *world) sign(c auth.Claims) string {
	w.t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &c)
	token.Header["kid"] = kid
	text, err := token.SignedString(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	code   string // of a problem
}

// call sends a request to localhost; the header Host names another.
func (w *world) call(method, target string, header http.Header, body io.Reader) answer {
	w.t.Helper()
	return w.callWithin(context.Background(), method, target, header, body)
}

func (w *world) callWithin(ctx context.Context, method, target string, header http.Header, body io.Reader) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := w.client.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, target, err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(text)}
	var problem struct{ Code string }
	if res.Header.Get("Content-Type") == "application/problem+json" && json.Unmarshal(text, &problem) == nil {
		a.code = problem.Code
	}
	return a
}

// ops reads from the operations port.
func (w *world) ops(path string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+w.gateway.OpsAddr()+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// metric is the value of a metric without labels, "" if there is none.
func (w *world) metric(name string) string {
	w.t.Helper()
	for line := range strings.Lines(w.ops("/metrics")) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			fields := strings.Fields(rest)
			return fields[len(fields)-1]
		}
	}
	return ""
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// upstream stands for a service: it keeps what reached it and answers 200 unless told otherwise.
type upstream struct {
	srv *httptest.Server

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	seen     []seen
}

type seen struct {
	method, uri, host string
	header            http.Header
	body              string
}

func startUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{handlers: map[string]http.HandlerFunc{}}
	u.srv = httptest.NewServer(u)
	t.Cleanup(u.srv.Close)
	return u
}

func (u *upstream) handle(path string, h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handlers[path] = h
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	h := u.handlers[r.URL.Path]
	u.mu.Unlock()
	if h != nil {
		h(w, r)
		return
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	u.mu.Lock()
	u.seen = append(u.seen, seen{r.Method, r.RequestURI, r.Host, r.Header.Clone(), body.String()})
	u.mu.Unlock()
	w.Header().Set("X-Powered-By", "a stand-in")
	_, _ = io.WriteString(w, "answered")
}

func (u *upstream) last(t testing.TB) seen {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.seen) == 0 {
		t.Fatal("nothing reached the service")
	}
	return u.seen[len(u.seen)-1]
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.seen)
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// facts publishes events as the relays of both services would.
type facts struct {
	t      testing.TB
	buses  map[string]*event.Bus
	chains map[string]*event.Chain
	at     map[string]event.Cursor
}

func startFacts(t testing.TB, nats *natstest.Server, tel *telemetry.Telemetry) *facts {
	t.Helper()
	f := &facts{t: t, buses: map[string]*event.Bus{}, chains: map[string]*event.Chain{}, at: map[string]event.Cursor{}}
	for stream, service := range map[string]string{event.StreamUser: "user", event.StreamNote: "note"} {
		f.buses[stream] = nats.Bus(t, service, tel)
		f.open(stream)
	}
	t.Cleanup(func() {
		for _, c := range f.chains {
			c.Close()
		}
	})
	return f
}

func (f *facts) open(stream string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.buses[stream].Await(ctx, nil); err != nil {
		f.t.Fatal(err)
	}
	end, err := f.buses[stream].EndOf(ctx, stream)
	if err != nil {
		f.t.Fatal(err)
	}
	if f.chains[stream], err = f.buses[stream].Chain(stream, end); err != nil {
		f.t.Fatal(err)
	}
}

// reopen goes on after the connection was lost.
func (f *facts) reopen() {
	f.t.Helper()
	for stream, chain := range f.chains {
		chain.Close()
		f.open(stream)
	}
}

// publish sends a fact of a workspace to the stream its type belongs to.
func (f *facts) publish(workspace, key string, msg proto.Message, audience ...string) event.Event {
	f.t.Helper()
	return f.publishIn("", workspace, key, msg, audience...)
}

func (f *facts) publishIn(trace, workspace, key string, msg proto.Message, audience ...string) event.Event {
	f.t.Helper()
	e, err := event.New(workspace, key, msg, audience...)
	if err != nil {
		f.t.Fatal(err)
	}
	e.TraceParent = trace
	stream := event.StreamUser
	if strings.HasPrefix(e.Type, "note.") {
		stream = event.StreamNote
	}
	e.Lane = event.LaneOf(key)
	e.Position = f.at[stream][e.Lane] + 1
	f.at[stream] = f.at[stream].After(e.Lane, e.Position)
	e.Source, e.Cursor = stream, f.at[stream].String()
	if err := f.chains[stream].Publish(context.Background(), e, func(error) {}); err != nil {
		f.t.Fatal(err)
	}
	return e
}
