package balance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/balance"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

// names is a resolver whose answer tests change.
type names struct {
	mu    sync.Mutex
	addrs []string
	err   error
	asked int
}

func (n *names) set(err error, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs, n.err = addrs, err
}

func (n *names) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if host != "note.test" {
		return nil, errors.New("who?")
	}
	var all []netip.Addr
	for _, a := range n.addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, n.err
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is an upstream of three replicas on one port of 127.0.0.1, .2 and .3, and the way to it.
type world struct {
	names *names
	clock *clock
	t     *balance.Transport
	port  uint16
}

func newWorld(t *testing.T, h http.Handler, replicas ...string) *world {
	t.Helper()
	w := &world{names: &names{addrs: replicas}, clock: &clock{t: time.Unix(1_000_000, 0)}}
	for _, addr := range replicas {
		w.replica(t, addr, h)
	}
	var err error
	w.t, err = balance.New("note", fmt.Sprintf("http://note.test:%d", w.port), telemetry.Discard(), balance.WithResolver(w.names), balance.WithClock(w.clock.now))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.t.CloseIdleConnections)
	return w
}

// replica serves h at addr, on the port of the first one.
func (w *world) replica(t *testing.T, addr string, h http.Handler) *httptest.Server {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("%s:%d", addr, w.port))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener = ln
	s.Start()
	t.Cleanup(s.Close)
	w.port = netip.MustParseAddrPort(ln.Addr().String()).Port()
	return s
}

func (w *world) send(t *testing.T, method string, body io.Reader) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://team.example/notes?x=1", body)
	if err != nil {
		t.Fatal(err)
	}
	return w.sendRequest(r)
}

func (w *world) sendRequest(r *http.Request) (string, error) {
	res, err := w.t.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// whoami answers with the replica's address.
func whoami(w http.ResponseWriter, r *http.Request) {
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	host, _, _ := net.SplitHostPort(addr.String())
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, _ = w.Write(append(body, host...))
}

// tally sends n requests and counts who answered.
func (w *world) tally(t *testing.T, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		who, err := w.send(t, http.MethodGet, nil)
		if err != nil {
			who = "error"
		}
		got[who]++
	}
	return got
}

func TestRequestsGoRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami), "127.0.0.1", "127.0.0.2", "127.0.0.3")
	got := w.tally(t, 30)
	for _, addr := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		if got[addr] != 10 {
			t.Errorf("got %v", got)
		}
	}
	if w.names.count() != 1 {
		t.Errorf("%d lookups", w.names.count())
	}
}

func TestHostAndPathAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Host, r.RequestURI)
	}), "127.0.0.1")
	if got, err := w.send(t, http.MethodGet, nil); got != "team.example/notes?x=1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAReplicaThatIsGoneIsPassedOverWithoutAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami), "127.0.0.1")
	w.names.set(nil, "127.0.0.1", "127.0.0.2")
	w.clock.move(time.Minute)
	for i := range 100 {
		body := fmt.Sprintf("note %d from ", i)
		if got, err := w.send(t, http.MethodPost, strings.NewReader(body)); err != nil || got != body+"127.0.0.1" {
			t.Fatalf("request %d: %q, %v", i, got, err)
		}
	}
	// It comes back, and is found once its ejection is over.
	w.replica(t, "127.0.0.2", http.HandlerFunc(whoami))
	w.clock.move(15 * time.Second)
	if got := w.tally(t, 10); got["127.0.0.2"] != 5 {
		t.Errorf("got %v", got)
	}
}

func TestNewAddressesAreFoundAndOldOnesLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami), "127.0.0.1", "127.0.0.2")
	w.tally(t, 2)
	w.names.set(nil, "127.0.0.2")
	w.clock.move(6 * time.Second)
	got := ""
	for i := 0; i < 1000 && w.names.count() < 2; i++ { // the lookup runs beside
		got, _ = w.send(t, http.MethodGet, nil)
	}
	if w.names.count() != 2 || got == "" {
		t.Fatalf("%d lookups", w.names.count())
	}
	w.names.set(errors.New("SERVFAIL"))
	w.clock.move(6 * time.Second)
	if got := w.tally(t, 10); got["error"] != 0 {
		t.Errorf("what is known should serve while DNS is away: %v", got)
	}
}

func TestAnUpstreamThatIsAwayIsUnavailableAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami))
	w.names.set(errors.New("NXDOMAIN"))
	_, err := w.send(t, http.MethodGet, nil)
	if e := errs.As(err); e.Kind != errs.KindUnavailable || e.Code != "upstream-unavailable" || e.RetryAfter == 0 || !strings.Contains(err.Error(), "NXDOMAIN") {
		t.Errorf("got %v", err)
	}
	w.names.set(nil, "127.0.0.1")
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(free.Addr().String()).Port()
	_ = free.Close()
	w.t, err = balance.New("note", fmt.Sprintf("http://note.test:%d", port), telemetry.Discard(), balance.WithResolver(w.names), balance.WithClock(w.clock.now))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.send(t, http.MethodGet, nil); errs.KindOf(err) != errs.KindUnavailable {
		t.Errorf("got %v", err)
	}
	w.port = port
	w.replica(t, "127.0.0.1", http.HandlerFunc(whoami))
	if got, err := w.send(t, http.MethodGet, nil); got != "127.0.0.1" || err != nil {
		t.Errorf("the only address is tried although it refused a moment ago: %q, %v", got, err)
	}
}

// broken drops each connection after it has read the request.
func broken(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestOnlyWhatIsSafeIsSentTwiceAndOnlyForATenth(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	sent := func(method string) int {
		mu.Lock()
		defer mu.Unlock()
		return seen[method]
	}
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Method]++
		mu.Unlock()
		broken(w, r)
	}), "127.0.0.1", "127.0.0.2", "127.0.0.3")
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, err := w.send(t, method, strings.NewReader("x")); errs.KindOf(err) != errs.KindUnavailable {
			t.Errorf("%s: %v", method, err)
		}
		if sent(method) != 1 {
			t.Errorf("%s was sent %d times", method, sent(method))
		}
	}
	if _, err := w.send(t, http.MethodGet, nil); errs.KindOf(err) != errs.KindUnavailable {
		t.Errorf("got %v", err)
	}
	if sent(http.MethodGet) != 3 {
		t.Errorf("GET was sent %d times", sent(http.MethodGet))
	}
	for range 100 {
		_, _ = w.send(t, http.MethodGet, nil) // fails, by the upstream or the breaker
	}
	if sent(http.MethodGet) > 6*3 {
		t.Errorf("the breaker let %d through", sent(http.MethodGet))
	}
}

func TestTheBreakerAnswersAtOnceWhileOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(broken), "127.0.0.1")
	for range 10 {
		_, _ = w.send(t, http.MethodPost, strings.NewReader("x")) // fails
	}
	body := &closing{Reader: strings.NewReader("x")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://team.example/", body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.sendRequest(r)
	if errs.KindOf(err) != errs.KindUnavailable || !strings.Contains(err.Error(), "circuit breaker open") {
		t.Errorf("got %v", err)
	}
	if !body.closed {
		t.Error("the body was left open")
	}
}

// closing is a body that knows that it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestACallersOwnFailureLeavesTheBreakerClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami), "127.0.0.1")
	tests := []struct {
		name string
		body func(context.Context) io.Reader
		want errs.Kind
	}{
		{"a body over the limit", func(context.Context) io.Reader {
			return http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader("too long")), 3)
		}, errs.KindTooLarge},
		{"a body that breaks off", func(context.Context) io.Reader {
			return io.MultiReader(strings.NewReader("half"), failing{})
		}, errs.KindInvalid},
		{"a body that does not come", func(ctx context.Context) io.Reader { return waiting{ctx} }, errs.KindTimeout},
		{"a caller that leaves", nil, errs.KindCanceled},
	}
	for _, tt := range tests {
		for range 12 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			var body io.Reader
			if tt.body != nil {
				if tt.want == errs.KindTimeout {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
				}
				body = tt.body(ctx)
			} else {
				cancel()
			}
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://team.example/", body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.sendRequest(r); errs.KindOf(err) != tt.want {
				t.Errorf("%s: %v", tt.name, err)
			}
			cancel()
		}
	}
	if got, err := w.send(t, http.MethodGet, nil); got != "127.0.0.1" || err != nil {
		t.Errorf("others are shut out: %q, %v", got, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

type waiting struct{ ctx context.Context }

func (w waiting) Read([]byte) (int, error) {
	<-w.ctx.Done()
	return 0, io.ErrUnexpectedEOF
}

func TestAnUpstreamThatHangsEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "127.0.0.1")
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://team.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.sendRequest(r); errs.KindOf(err) != errs.KindTimeout {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	if _, err := w.send(t, http.MethodGet, nil); errs.KindOf(err) != errs.KindUnavailable {
		t.Errorf("that is the upstream's failure: the breaker should be open, got %v", err)
	}
}

func TestAddressesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "note:8081", "ftp://note", "http://", "::"} {
		if _, err := balance.New("note", base, telemetry.Discard()); err == nil {
			t.Errorf("%q was taken", base)
		}
	}
}

func TestAnIPNeedsNoResolver(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(whoami))
	t.Cleanup(s.Close)
	tr, err := balance.New("note", s.URL, telemetry.Discard(), balance.WithResolver(nil))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: tr}
	t.Cleanup(tr.CloseIdleConnections)
	if got, err := w.send(t, http.MethodGet, nil); got != "127.0.0.1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
