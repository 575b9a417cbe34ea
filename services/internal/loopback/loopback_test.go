package loopback_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"

	"noteworks.dev/services/internal/loopback"
)

// port listens as a server does, over the network and in memory, and answers requests by how each came.
func port(t *testing.T) (tcp, memory net.Listener) {
	t.Helper()
	var lc net.ListenConfig
	tcp, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	memory = loopback.Listen(tcp)
	for how, ln := range map[string]net.Listener{"by network": tcp, "in memory": memory} {
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // lasts for a test
			_, _ = io.WriteString(w, how+" from "+r.RemoteAddr)
		})}
		go func() { _ = s.Serve(ln) }()
		t.Cleanup(func() { _ = s.Close() })
	}
	return tcp, memory
}

func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: loopback.Dial(&net.Dialer{}), DisableKeepAlives: true}}
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestWhoDialsAPortOfTheSameProcessMeetsItInMemory(t *testing.T) {
	t.Parallel()
	tcp, _ := port(t)
	got, err := get(t, client(), "http://"+tcp.Addr().String())
	if want := "in memory from " + tcp.Addr().String(); err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if got, err := get(t, http.DefaultClient, "http://"+tcp.Addr().String()); err != nil || got[:10] != "by network" {
		t.Errorf("others: %q, %v", got, err)
	}
}

func TestAPortOfAnotherProcessIsDialled(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	c, err := loopback.Dial(&net.Dialer{})(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("a %T", c)
	}
}

func TestAfterTheServerHasClosedItIsDialledAsAlways(t *testing.T) {
	t.Parallel()
	tcp, memory := port(t)
	_ = memory.Close()
	if got, err := get(t, client(), "http://"+tcp.Addr().String()); err != nil || got[:10] != "by network" {
		t.Errorf("%q, %v", got, err)
	}
	_ = tcp.Close()
	if _, err := get(t, client(), "http://"+tcp.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("both closed: %v", err)
	}
}

// Whoever waits when the server goes must not wait for ever, and is told what the network says.
func TestWhoDialsWhileNobodyAcceptsWaitsForTheEndOfEither(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	tcp, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	memory := loopback.Listen(tcp)
	address := tcp.Addr().String()
	_ = tcp.Close()
	var dialled atomic.Bool
	dial := loopback.Dial(&net.Dialer{ControlContext: func(context.Context, string, string, syscall.RawConn) error {
		dialled.Store(true)
		return nil
	}})

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial(ended, "tcp", address); !errors.Is(err, context.Canceled) || dialled.Load() {
		t.Errorf("the context ended: %v, network %v", err, dialled.Load())
	}
	result := make(chan error, 1)
	go func() {
		_, err := dial(t.Context(), "tcp", address)
		result <- err
	}()
	_ = memory.Close()
	if err := <-result; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the listener closed: %v", err)
	}
}
