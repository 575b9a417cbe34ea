package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

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

func logged(t *testing.T) (*telemetry.Telemetry, *lines) {
	t.Helper()
	log := &lines{}
	tel, err := telemetry.New(t.Context(), "note", config.Map(map[string]string{"LOG_LEVEL": "debug"}), log)
	if err != nil {
		t.Fatal(err)
	}
	return tel, log
}

// serve runs h on a free port until the test ends, and returns its base URL.
func serve(t *testing.T, h http.Handler, tel *telemetry.Telemetry, opts ...httpserver.Option) (*httpserver.Server, string) {
	t.Helper()
	s := httpserver.New("test", "127.0.0.1:0", h, tel, opts...)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + s.Addr()
}

// result is an answer that was read to its end.
type result struct {
	*http.Response
	body string
	code string // of a problem
}

func do(t *testing.T, method, url string, body io.Reader, header ...string) result {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := result{Response: res, body: string(text)}
	if res.Header.Get("Content-Type") == problem.ContentType && method != http.MethodHead {
		var p struct{ Code string }
		if err := json.Unmarshal(text, &p); err != nil {
			t.Errorf("%v in %q", err, text)
		}
		out.code = p.Code
	}
	return out
}

// echo reads a JSON body, or says why not.
func echo(w http.ResponseWriter, r *http.Request) {
	var into map[string]any
	if err := httpserver.DecodeJSON(r.Body, &into); err != nil {
		problem.Write(w, r, err)
		return
	}
	_, _ = fmt.Fprintln(w, len(into))
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	_, url := serve(t, http.HandlerFunc(echo), telemetry.Discard(), httpserver.WithMaxBody(1<<10))
	fits := `{"a":"` + strings.Repeat("x", 1<<10-8) + `"}`
	tests := []struct {
		name, code string
		body       io.Reader
	}{
		{"exactly the limit", "", strings.NewReader(fits)},
		{"one byte over", "body-too-large", strings.NewReader(fits + " ")},
		{"one byte over, chunked", "body-too-large", io.MultiReader(strings.NewReader(fits), strings.NewReader(" "))},
		{"100 MB chunked", "body-too-large", io.LimitReader(neverEnding(' '), 100<<20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := do(t, http.MethodPost, url, tt.body); got.code != tt.code || tt.code == "" && got.StatusCode != 200 || tt.code != "" && got.StatusCode != 413 {
				t.Errorf("got %d %s", got.StatusCode, got.body)
			}
		})
	}
}

func TestHeadersAndMethodsThatAreRefused(t *testing.T) {
	t.Parallel()
	var seen lines
	_, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(&seen, r.Method)
		w.WriteHeader(http.StatusNoContent)
	}), telemetry.Discard())
	tests := []struct {
		name, method string
		header       []string
		status       int
		code         string
	}{
		{"a usual request", "GET", nil, 204, ""},
		{"TRACE", "TRACE", nil, 405, "method-not-allowed"},
		{"TRACK", "TRACK", nil, 405, "method-not-allowed"},
		{"a large cookie that fits", "GET", []string{"Cookie", strings.Repeat("c", 31<<10)}, 204, ""},
		{"a cookie over the limit", "GET", []string{"Cookie", strings.Repeat("c", 33<<10)}, 431, "headers-too-large"},
		{"headers far over the limit", "GET", []string{"Cookie", strings.Repeat("c", 200<<10)}, 431, ""},
		{"8 kB of baggage", "GET", []string{"Baggage", "a=" + strings.Repeat("b", 8<<10)}, 204, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := do(t, tt.method, url, nil, tt.header...)
			if got.StatusCode != tt.status || got.code != tt.code {
				t.Errorf("got %d %q", got.StatusCode, got.code)
			}
			if tt.code != "" && !strings.Contains(got.body, `"traceId":"`) {
				t.Errorf("no trace leads to %s", got.body)
			}
		})
	}
	t.Run("method override", func(t *testing.T) {
		t.Parallel()
		do(t, http.MethodPost, url+"?_method=DELETE", nil, "X-HTTP-Method-Override", "DELETE", "X-HTTP-Method", "DELETE", "X-Method-Override", "DELETE")
		if strings.Contains(seen.String(), "DELETE") {
			t.Error("a header changed the method")
		}
	})
}

func TestARequestHasADeadlineExceptALongLivedOne(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			problem.Write(w, r, r.Context().Err())
			return
		}
		_, has := r.Context().Deadline()
		_, _ = fmt.Fprint(w, has)
	})
	_, url := serve(t, h, telemetry.Discard(), httpserver.WithRequestTimeout(50*time.Millisecond),
		httpserver.WithLongLived(func(r *http.Request) bool { return r.URL.Path == "/live" }))
	for path, want := range map[string]string{"/": "true", "/live": "false"} {
		if got := do(t, http.MethodGet, url+path, nil, "Upgrade", "websocket", "X-Request-Timeout", "3600"); got.body != want {
			t.Errorf("%s: a deadline? %s, want %s", path, got.body, want)
		}
	}
	if got := do(t, http.MethodGet, url+"/wait", nil); got.StatusCode != 504 || got.code != "timeout" {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
}

func TestAClientThatLeavesCancelsItsRequest(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	entered, left := make(chan struct{}), make(chan error, 1)
	_, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		left <- r.Context().Err()
		problem.Write(w, r, fmt.Errorf("query: %w", r.Context().Err()))
	}), tel)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-entered
		cancel()
	}()
	if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = res.Body.Close()
		t.Error("there was an answer")
	}
	select {
	case err := <-left:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Second):
		t.Error("the handler did not hear of it within a second")
	}
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("that is no error: %s", log)
	}
}

func TestAPanicIsOneProblemAndOneLine(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	_, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/half":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		panic("secret inside")
	}), tel)
	if got := do(t, http.MethodGet, url, nil); got.StatusCode != 500 || got.code != "internal" || strings.Contains(got.body, "secret") {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
	if got := log.String(); strings.Count(got, `"level":"ERROR"`) != 1 || !strings.Contains(got, "secret inside") || !strings.Contains(got, "server_test.go") {
		t.Errorf("want one line with the stack, got %s", got)
	}
	for _, path := range []string{"/abort", "/half"} {
		if body, err := get(t, url+path); err == nil {
			t.Errorf("%s looks complete: %q", path, body)
		}
	}
	if got := log.String(); strings.Count(got, `"level":"ERROR"`) != 2 {
		t.Errorf("the panic after half an answer is a line, the abort is none: %s", got)
	}
}

func get(t *testing.T, url string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestStopWaitsForRunningRequests(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan struct{}), make(chan struct{})
	s, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-finish
		_, _ = fmt.Fprint(w, "whole ", r.Context().Err())
	}), telemetry.Discard())
	answered := make(chan string, 1)
	go func() {
		body, err := get(t, url)
		answered <- fmt.Sprint(body, err)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.WithoutCancel(t.Context())) }()
	refused(t, s.Addr())
	close(finish)
	if got := <-answered; got != "whole <nil><nil>" {
		t.Errorf("got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// refused returns when addr takes no more connections.
func refused(t *testing.T, addr string) {
	t.Helper()
	for {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered, gone := make(chan struct{}), make(chan struct{})
	s, url := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(gone)
	}), telemetry.Discard(), httpserver.WithRequestTimeout(0))
	answered := make(chan error, 1)
	go func() {
		_, err := get(t, url)
		answered <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it should say that it was cut short, got %v", err)
	}
	<-gone
	if err := <-answered; err == nil {
		t.Error("the client should notice")
	}
}

func TestAPortInUseIsSaid(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, http.NotFoundHandler(), telemetry.Discard())
	err := httpserver.New("note", s.Addr(), http.NotFoundHandler(), telemetry.Discard()).Start(t.Context())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "note cannot listen on "+s.Addr()) {
		t.Errorf("got %v", err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("it started twice")
	}
}

func TestH2CIsSpokenOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	_, inside := serve(t, h, telemetry.Discard(), httpserver.WithH2C())
	_, outside := serve(t, h, telemetry.Discard())

	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}
	t.Cleanup(h2.CloseIdleConnections)
	ask := func(url string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := h2.RoundTrip(r)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		return string(body), err
	}
	if got, err := ask(inside); got != "HTTP/2.0" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got := do(t, http.MethodGet, inside, nil).body; got != "HTTP/1.1" {
		t.Errorf("got %q", got)
	}
	if got, err := ask(outside); err == nil {
		t.Errorf("the public port spoke %q", got)
	}
}

func TestASocketThatIsHijackedIsItsOwners(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nhello\n")
		_ = rw.Flush()
		go func() {
			line, _ := rw.ReadString('\n')
			_, _ = io.WriteString(conn, "echo "+line)
			_ = conn.Close()
		}()
	}), telemetry.Discard())
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(conn)
	for line := ""; line != "hello\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("a socket should not hold the drain: %v", err)
	}
	_, _ = io.WriteString(conn, "still here\n")
	if line, err := in.ReadString('\n'); line != "echo still here\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestOperationsPort(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	var mu sync.Mutex
	var unready error
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	s := httpserver.NewOps("127.0.0.1:0", func(context.Context) error {
		mu.Lock()
		err := unready
		mu.Unlock()
		if errors.Is(err, errHang) {
			<-hang // a check that ignores its context
		}
		return err
	}, tel)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	url := "http://" + s.Addr()
	set := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		unready = err
	}
	expect := func(what string, wants map[string]int) {
		t.Helper()
		for path, want := range wants {
			if got := do(t, http.MethodGet, url+path, nil); got.StatusCode != want || got.Header.Get("Cache-Control") != "no-store" && path != "/metrics" {
				t.Errorf("%s: %s answers %d, want %d", what, path, got.StatusCode, want)
			}
		}
	}
	expect("ready", map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/debug/pprof/": 404})
	set(errors.New("the database\n\tis away"))
	for range 3 {
		expect("dependency away", map[string]int{"/livez": 200, "/readyz": 503})
	}
	const reason = "not ready: the database is away\n"
	if body := do(t, http.MethodGet, url+"/readyz", nil).body; body != reason {
		t.Errorf("the reason is %q, not %q", body, reason)
	}
	if said := strings.Count(log.String(), "the database is away"); said != 1 {
		t.Errorf("it is said %d times in the log: %s", said, log)
	}
	set(errHang)
	begin := time.Now()
	expect("check that hangs", map[string]int{"/readyz": 503})
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	set(nil)
	s.Drain()
	expect("draining", map[string]int{"/livez": 200, "/readyz": 503})
	if strings.Contains(log.String(), `"level":"ERROR"`) {
		t.Errorf("not being ready is no error: %s", log)
	}
	if !strings.Contains(do(t, http.MethodGet, url+"/metrics", nil).body, "go_goroutines") {
		t.Error("no metrics")
	}
}

var errHang = errors.New("hangs")

func TestLifecycle(t *testing.T) { //nolint:paralleltest // goroutines are counted
	tel := telemetry.Discard()
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle {
		return httpserver.New("test", "127.0.0.1:0", http.NotFoundHandler(), tel)
	})
}
