package socket_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/socket"
)

// FuzzFrames: whatever comes after the handshake ends its own socket at the latest when no more does, with at most one error, and the next one opens.
func FuzzFrames(f *testing.F) {
	mask := "\x00\x00\x00\x00"
	for _, seed := range []string{
		textFrame(`{"type":"auth","token":"ann"}`), textFrame(`{"type":"x"}`) + "\x89\x80" + mask, "\x01\x81" + mask + "{" + "\x80\x81" + mask + "}", "\x88\x82" + mask + "\x03\xe8", "\x88\x81" + mask + "x",
		"\x81\xfe\x00\x7e" + mask, "\x81\xff\x00\x00\x00\x00\x00\x00\x10\x01" + mask, "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask, "\x81\x01{", "\x83\x80" + mask, "\xf1\x80" + mask, "\x09\x80" + mask,
		"\x82\x82\x01\x02\x03\x04zz", "\x81", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\x8a\x80"+mask, 30), textFrame(`{"type":"auth","token":"ann"}`) + textFrame(`{"type":"auth","token":"bob"}`),
	} {
		f.Add([]byte(seed))
	}
	w := startWorld(f, socket.Config{MaxSockets: 1000}, live.Limits{})
	f.Fuzz(func(t *testing.T, frames []byte) {
		conn, err := w.dialRaw(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write([]byte(handshake)); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(frames) // it may have been ended before all of it was taken
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		answer, err := io.ReadAll(conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // ReadAll does not wrap
			t.Fatalf("%q is still open after %q", frames, answer)
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 101 ") || strings.Count(string(answer), `"type":"error"`) > 1 {
			t.Fatalf("%q is answered %q", frames, answer)
		}
	})
}
