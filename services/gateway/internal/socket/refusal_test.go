package socket_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/socket"
)

func TestHandshakesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{AllowedOrigins: []string{"https://app.example"}}, live.Limits{})
	host := strings.TrimPrefix(w.url, "http://")
	for name, c := range map[string]struct {
		path   string
		header http.Header
		status int
		code   string
	}{
		"foreign origin":       {"", http.Header{"Origin": {"https://evil.example"}}, 403, "foreign-origin"},
		"our host elsewhere":   {"", http.Header{"Origin": {"https://evil.example/" + host}}, 403, "foreign-origin"},
		"our host as user":     {"", http.Header{"Origin": {"http://" + host + "@evil.example"}}, 403, "foreign-origin"},
		"our host as prefix":   {"", http.Header{"Origin": {"http://" + host + ".evil.example"}}, 403, "foreign-origin"},
		"another port":         {"", http.Header{"Origin": {"http://127.0.0.1:1"}}, 403, "foreign-origin"},
		"origin null":          {"", http.Header{"Origin": {"null"}}, 403, "foreign-origin"},
		"two origins":          {"", http.Header{"Origin": {"http://" + host, "https://evil.example"}}, 403, "foreign-origin"},
		"empty origin":         {"", http.Header{"Origin": {""}}, 403, "foreign-origin"},
		"token in the URL":     {"?token=abc", nil, 400, "query-not-allowed"},
		"anything in the URL":  {"?since=abc", nil, 400, "query-not-allowed"},
		"no such workspace":    {"", http.Header{"Host": {"nowhere.localhost"}}, 404, "workspace-not-found"},
		"suspended workspace":  {"", http.Header{"Host": {"suspended.localhost"}}, 503, "workspace-suspended"},
		"no WebSocket version": {"", http.Header{"Sec-Websocket-Version": {"8"}}, 400, "websocket-required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, code := w.refused(t, http.MethodGet, c.path, c.header)
			if status != c.status || code != c.code {
				t.Errorf("%d %q, not %d %q", status, code, c.status, c.code)
			}
		})
	}
	t.Run("by POST", func(t *testing.T) {
		t.Parallel()
		if status, code := w.refused(t, http.MethodPost, "", nil); status != 405 || code != "method-not-allowed" {
			t.Errorf("%d %q", status, code)
		}
	})
	for _, missing := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version"} {
		t.Run("without "+missing, func(t *testing.T) {
			t.Parallel()
			if status, code := w.refused(t, http.MethodGet, "", http.Header{missing: nil}); status != 400 || code != "websocket-required" {
				t.Errorf("%d %q", status, code)
			}
		})
	}
}

// refused sends a handshake with header in place of what is usual, and returns the problem that answers it.
func (w *world) refused(t *testing.T, method, path string, header http.Header) (status int, code string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for name, values := range header {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = values
	}
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var problem struct{ Code string }
	if err := json.NewDecoder(res.Body).Decode(&problem); err != nil {
		t.Fatalf("%s: %v", res.Status, err)
	}
	return res.StatusCode, problem.Code
}

func TestOriginsThatMayConnect(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{AllowedOrigins: []string{"https://app.example"}}, live.Limits{})
	host := strings.TrimPrefix(w.url, "http://")
	for name, h := range map[string]http.Header{
		"none, as programs":         {},
		"the page's own":            {"Origin": {"http://" + host}},
		"the page's own behind TLS": {"Origin": {"https://" + host}},
		"one that is allowed":       {"Origin": {"https://app.example"}},
		"the default port":          {"Origin": {"https://team.notes.example"}, "Host": {"TEAM.notes.example:443"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, err := w.dial(h)
			if err != nil {
				t.Fatal(err)
			}
			b.auth("ann")
			if f := b.next(); f.Type != "ready" {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestASocketOfASuspendedWorkspaceIsToldWhyAndTakenBackLater(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	suspended := func(is bool) {
		n := w.next.Add(1)
		w.hub.Publish(&live.Event{Stream: live.UserStream, Position: n, Outbox: live.Place{n}, Workspace: workspace, Time: time.Now(), Suspended: &is})
	}
	in, silent := w.signedIn("ann"), w.open()
	suspended(true)
	silent.auth("bob")
	in.endsWith(live.CodeWorkspaceSuspended, websocket.StatusTryAgainLater)
	silent.endsWith(live.CodeWorkspaceSuspended, websocket.StatusTryAgainLater)
	suspended(false)
	w.signedIn("ann")
}

func TestFirstFramesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	for name, c := range map[string]struct {
		text   string
		code   string
		status websocket.StatusCode
	}{
		"no token":              {`{"type":"auth"}`, live.CodeUnauthenticated, 1008},
		"an expired token":      {`{"type":"auth","token":"expired"}`, live.CodeTokenExpired, 1008},
		"of another workspace":  {`{"type":"auth","token":"ann@0190aaaa-0000-7000-8000-000000000002"}`, live.CodeWrongWorkspace, 1008},
		"nobody can check it":   {`{"type":"auth","token":"keys are away"}`, live.CodeUnavailable, 1013},
		"checking it panics":    {`{"type":"auth","token":"panic"}`, live.CodeUnavailable, 1013},
		"no JSON":               {`hello`, live.CodeMalformedFrame, 1007},
		"empty":                 {``, live.CodeMalformedFrame, 1007},
		"invalid UTF-8":         {"{\"type\":\"\xff\"}", live.CodeMalformedFrame, 1007},
		"a byte over the limit": {`{"type":"` + strings.Repeat("x", live.MaxClientFrame) + `"}`, live.CodeFrameTooLarge, 1009},
		"1 MB":                  {strings.Repeat("x", 1<<20), live.CodeFrameTooLarge, 1009},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := w.open()
			go b.send(c.text) // a long one is not read to its end
			b.endsWith(c.code, c.status)
		})
	}
}

func TestUnknownFrameTypesAreIgnored(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	b := w.open()
	b.send(`{"type":"presence","note":"ws.*.>"}`)
	b.auth("ann")
	b.send(`{"type":"*","subject":">"}`)
	if f := b.next(); f.Type != "ready" {
		t.Fatalf("%+v", f)
	}
	w.happen(`{}`, "ann")
	if f := b.next(); f.Type != "event" {
		t.Fatalf("%+v", f)
	}
}

func TestBinaryFramesAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	b := w.signedIn("ann")
	b.sendAs(websocket.MessageBinary, `{"type":"auth","token":"ann"}`)
	b.endsWith(live.CodeBinaryFrame, 1003)
}

func TestAnotherPersonOnTheSameSocketIsRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	b := w.signedIn("ann")
	b.auth("ann")
	if f := b.next(); f.Type != "ready" {
		t.Fatalf("%+v", f)
	}
	b.auth("bob")
	b.endsWith(live.CodeOtherPerson, 1008)
}

func TestAFloodOfFramesIsCut(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(b *browser){
		"messages": func(b *browser) { b.send(`{"type":"x"}`) },
		"pings":    func(b *browser) { go func() { _ = b.ws.Ping(b.read) }() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, socket.Config{}, live.Limits{})
			b := w.signedIn("ann")
			for range 200 { // more than one second's worth, whenever the second turns
				send(b)
			}
			b.endsWith(live.CodeTooManyFrames, 1008)
		})
	}
}

const handshake = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// raw is a client below the protocol, for frames that no library sends.
func (w *world) raw(t *testing.T) net.Conn {
	t.Helper()
	conn, err := w.dialRaw(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(handshake)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// textFrame is a short text as a client frames it.
func textFrame(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text))}) + "\x00\x00\x00\x00" + text
}

// everything reads until the server closes.
func everything(t *testing.T, conn net.Conn) string {
	t.Helper()
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			return all.String()
		}
	}
}

func TestMessagesThatNeverEndAreCut(t *testing.T) {
	t.Parallel()
	mask := "\x00\x00\x00\x00"
	for name, c := range map[string]struct{ first, then, code string }{
		"fragment by fragment":          {"\x01\x81" + mask + "{", "\x00\x84" + mask + "    ", live.CodeFrameTooLarge},
		"empty fragment by fragment":    {"\x01\x80" + mask, "\x00\x80" + mask, live.CodeFrameTooLarge},
		"a header that announces 1 GB":  {"\x81\xff\x00\x00\x00\x00\x40\x00\x00\x00" + mask, "x", live.CodeFrameTooLarge},
		"a length below zero":           {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask, "x", live.CodeMalformedFrame},
		"the lowest length":             {"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" + mask, "x", live.CodeMalformedFrame},
		"a fragment of such a length":   {"\x01\xff\xff\xff\xff\xff\xff\xff\xff\x00" + mask, "x", live.CodeMalformedFrame},
		"a message inside a message":    {"\x01\x81" + mask + "{", "\x81\x81" + mask + "{", live.CodeMalformedFrame},
		"a continuation of nothing":     {"\x80\x81" + mask + "{", "", live.CodeMalformedFrame},
		"unmasked":                      {"\x81\x01{", "", live.CodeMalformedFrame},
		"a reserved opcode":             {"\x83\x81" + mask + "{", "", live.CodeMalformedFrame},
		"a compressed frame, unasked":   {"\xc1\x81" + mask + "{", "", live.CodeMalformedFrame},
		"a fragmented ping":             {"\x09\x81" + mask + "{", "", live.CodeMalformedFrame},
		"a ping with too much to carry": {"\x89\xfe\x01\x00" + mask + strings.Repeat("x", 256), "", live.CodeMalformedFrame},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, socket.Config{}, live.Limits{})
			conn := w.raw(t)
			if _, err := conn.Write([]byte(c.first)); err != nil {
				t.Fatal(err)
			}
			go func() {
				for range 10_000 {
					if _, err := conn.Write([]byte(c.then)); err != nil || c.then == "" {
						return
					}
				}
			}()
			got := everything(t, conn)
			if !strings.Contains(got, `{"type":"error","code":"`+c.code+`"}`) || !strings.HasSuffix(got, c.code) {
				t.Errorf("answered %q", got)
			}
			w.waitFor("the end of the socket", func() bool { return w.sockets.Sockets() == 0 })
		})
	}
}

func TestAFrameSentAlongWithTheHandshakeIsRead(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(handshake + textFrame(`{"type":"auth","token":""}`))); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, conn); !strings.Contains(got, live.CodeUnauthenticated) {
		t.Errorf("answered %q", got)
	}
}

func TestOneSocketTooManyIsRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{MaxSockets: 2}, live.Limits{})
	w.open()
	second := w.open()
	_, res, err := w.dial(http.Header{})
	if err == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Fatalf("%v, %v", res, err)
	}
	_ = second.ws.Close(websocket.StatusNormalClosure, "")
	w.waitFor("a free place", func() bool { return w.sockets.Sockets() < 2 })
	w.signedIn("ann")
}
