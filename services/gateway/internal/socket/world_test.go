package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/socket"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

const (
	workspace = "0190aaaa-0000-7000-8000-000000000001"
	// patience is for what only a bug makes slow.
	patience = 20 * time.Second
)

// world is a hub behind real sockets. Tokens are "<person>" or "<person>@<workspace>".
type world struct {
	t       testing.TB
	hub     *live.Hub
	sockets *socket.Server
	url     string
	client  *http.Client
	dialRaw func(ctx context.Context, network, addr string) (net.Conn, error)
	next    atomic.Int64
	life    time.Duration
}

func startWorld(t testing.TB, cfg socket.Config, limits live.Limits) *world {
	t.Helper()
	w := newWorld(t, cfg, limits)
	w.serve()
	t.Cleanup(w.stop)
	return w
}

// serve starts the sockets and a server before them, which ends with stop or the test.
func (w *world) serve() (stop func()) {
	w.t.Helper()
	srv := httptest.NewServer(w.sockets)
	w.t.Cleanup(srv.Close)
	w.url, w.client, w.dialRaw = srv.URL, srv.Client(), (&net.Dialer{}).DialContext
	if err := w.sockets.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return srv.Close
}

// pipedWorld is a world over pipes, whose time is that of a synctest bubble. It ends with stop.
func pipedWorld(t testing.TB) (w *world, stop func()) {
	t.Helper()
	w = newWorld(t, socket.Config{MaxSockets: 10}, live.Limits{})
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: w.sockets} //nolint:gosec // a test's
	go func() { _ = srv.Serve(l) }()
	transport := &http.Transport{DialContext: l.dial}
	w.url, w.client, w.dialRaw = "http://live.test", &http.Client{Transport: transport}, l.dial
	if err := w.sockets.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, func() {
		w.stop()
		_ = srv.Close()
		transport.CloseIdleConnections()
	}
}

func newWorld(t testing.TB, cfg socket.Config, limits live.Limits) *world {
	t.Helper()
	if cfg.MaxSockets == 0 {
		cfg.MaxSockets = 100
	}
	w := &world{t: t, hub: live.NewHub(limits, time.Now), life: 5 * time.Minute}
	w.hub.Release()
	w.sockets = socket.NewServer(cfg, w.hub, w.verify, w.enter, telemetry.Discard(), time.Now)
	return w
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.sockets.Stop(ctx); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

func (w *world) verify(_ context.Context, token string) (live.Identity, error) {
	switch token {
	case "":
		return live.Identity{}, errs.Unauthenticated("invalid-token", "")
	case "expired":
		return live.Identity{}, errs.Unauthenticated(live.CodeTokenExpired, "")
	case "keys are away":
		return live.Identity{}, errs.Unavailable("sign-in-unavailable", "")
	case "panic":
		panic("a verifier that panics")
	}
	person, of, ok := strings.Cut(token, "@")
	if !ok {
		of = workspace
	}
	return live.Identity{Person: person, Workspace: of, Session: "session of " + token, Expires: time.Now().Add(w.life)}, nil
}

func (w *world) enter(r *http.Request) (string, error) {
	if strings.HasPrefix(r.Host, "nowhere.") {
		return "", errs.NotFound("workspace-not-found", "")
	}
	if strings.HasPrefix(r.Host, "suspended.") {
		return "", errs.Unavailable(live.CodeWorkspaceSuspended, "")
	}
	return workspace, nil
}

// happen publishes an event with data to people, and reports how many sockets it was queued for.
func (w *world) happen(data string, people ...string) int {
	n := w.next.Add(1)
	return w.hub.Publish(&live.Event{
		Stream: live.NoteStream, Position: n, Outbox: live.Place{n},
		ID: "e", Type: "note.v1.NoteChanged", Workspace: workspace, Audience: slices.Sorted(slices.Values(people)), Note: "n", Time: time.Now(), Data: []byte(data),
	})
}

// browser is a client on a socket.
type browser struct {
	w    *world
	ws   *websocket.Conn
	read context.Context
}

func (w *world) dial(header http.Header) (*browser, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	host := header.Get("Host")
	header.Del("Host")
	ws, res, err := websocket.Dial(ctx, w.url, &websocket.DialOptions{HTTPClient: w.client, HTTPHeader: header, Host: host})
	if err != nil {
		return nil, res, err
	}
	ws.SetReadLimit(4 << 20)
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	read, stop := context.WithTimeout(context.Background(), 3*time.Minute) // fake minutes, in a bubble
	w.t.Cleanup(stop)
	return &browser{w: w, ws: ws, read: read}, res, nil
}

func (w *world) open() *browser {
	w.t.Helper()
	b, _, err := w.dial(http.Header{})
	if err != nil {
		w.t.Fatalf("dial: %v", err)
	}
	return b
}

// signedIn is a browser that has got ready.
func (w *world) signedIn(token string) *browser {
	w.t.Helper()
	b := w.open()
	b.auth(token)
	if f := b.next(); f.Type != "ready" {
		w.t.Fatalf("not ready but %+v", f)
	}
	return b
}

func (b *browser) send(text string) { b.sendAs(websocket.MessageText, text) }

func (b *browser) sendAs(kind websocket.MessageType, text string) {
	_ = b.ws.Write(b.read, kind, []byte(text)) // refused ones are seen when reading
}

func (b *browser) auth(token string) { b.send(`{"type":"auth","token":"` + token + `"}`) }

type frame struct {
	Type, Code, Cursor string
	Data               json.RawMessage
}

// next is the next frame; at the end of the socket its Type is "close" and its Code the status.
func (b *browser) next() frame {
	b.w.t.Helper()
	_, text, err := b.ws.Read(b.read)
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return frame{Type: "close", Code: closed.Reason, Cursor: closed.Code.String()}
	}
	if err != nil {
		b.w.t.Fatalf("read: %v", err)
	}
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		b.w.t.Fatalf("frame %q: %v", text, err)
	}
	return f
}

// endsWith reads until the close and wants an error frame with code before it.
func (b *browser) endsWith(code string, status websocket.StatusCode) {
	b.w.t.Helper()
	var last frame
	for {
		f := b.next()
		if f.Type != "close" {
			last = f
			continue
		}
		if last.Type != "error" || last.Code != code || f.Code != code || f.Cursor != status.String() {
			b.w.t.Fatalf("ended with %+v and close %q %s, not with %q %s", last, f.Code, f.Cursor, code, status)
		}
		return
	}
}

// waitFor waits until is true. Nothing tells when; so it looks again and again.
func (w *world) waitFor(what string, is func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%s did not happen", what)
		}
	}
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }
