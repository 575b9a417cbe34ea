package httpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/httpserver"
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
