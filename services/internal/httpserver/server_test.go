package httpserver_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/telemetry"
)

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
