package httpserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/telemetry"
)

// draining is a server with a long linger, and how often it was called.
func draining(t *testing.T, linger time.Duration, opts ...httpserver.Option) (s *httpserver.Server, calls *atomic.Int64) {
	t.Helper()
	calls = &atomic.Int64{}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_, _ = io.WriteString(w, "hello")
	})
	s = httpserver.New("test", "127.0.0.1:0", h, telemetry.Discard(), append(opts, httpserver.WithLinger(linger))...)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s, calls
}

// raw is one connection, on which requests follow each other.
type raw struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, addr string) *raw {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &raw{t, conn, bufio.NewReader(conn)}
}

// get answers whether the server keeps the connection.
func (c *raw) get() (kept bool) {
	c.t.Helper()
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || string(body) != "hello" {
		c.t.Fatalf("%q, %v", body, err)
	}
	return !res.Close
}

func TestADrainingServerAnswersEverybodyAndSendsThemElsewhere(t *testing.T) {
	t.Parallel()
	const linger = 400 * time.Millisecond
	s, _ := draining(t, linger)
	busy, idle := dial(t, s.Addr()), dial(t, s.Addr())
	if !busy.get() || !idle.get() {
		t.Fatal("connections are not kept")
	}
	stopped := make(chan time.Duration, 1)
	began := time.Now()
	s.Drain()
	go func() {
		_ = s.Stop(context.Background())
		stopped <- time.Since(began)
	}()
	if busy.get() {
		t.Error("the answer does not tell the caller to leave")
	}
	if _, err := busy.in.ReadByte(); err != io.EOF {
		t.Errorf("the connection is not closed: %v", err)
	}
	if dial(t, s.Addr()).get() {
		t.Error("a new caller is not told to leave")
	}
	if took := <-stopped; took < linger {
		t.Errorf("an idle connection was closed after %v", took)
	}
	if _, err := idle.in.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection is not closed: %v", err)
	}
}

func TestAServerWithoutCallersDoesNotLinger(t *testing.T) {
	t.Parallel()
	s, _ := draining(t, time.Hour)
	c := dial(t, s.Addr())
	c.get()
	done := make(chan error, 1)
	go func() { done <- s.Stop(t.Context()) }()
	_ = c.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it lingers for nobody")
	}
}

func TestLingeringEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s, _ := draining(t, time.Hour)
	dial(t, s.Addr()).get()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_ = s.Stop(ctx) // whether it calls that an error is its own affair
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAnHTTP2CallerIsToldToComeAgainByAnotherConnection(t *testing.T) {
	t.Parallel()
	s, calls := draining(t, 300*time.Millisecond, httpserver.WithH2C())
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	var dialled atomic.Int64
	client := &http.Client{Transport: &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
	t.Cleanup(client.CloseIdleConnections)
	get := func() {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.ProtoMajor != 2 {
			t.Fatalf("HTTP/%d", res.ProtoMajor)
		}
	}
	get()
	get()
	if dialled.Load() != 1 {
		t.Fatalf("%d connections", dialled.Load())
	}
	s.Drain()
	deadline := time.Now().Add(10 * time.Second)
	for dialled.Load() == 1 && time.Now().Before(deadline) {
		get()
	}
	if dialled.Load() == 1 {
		t.Errorf("after %d calls nobody has told the caller to leave", calls.Load())
	}
}
