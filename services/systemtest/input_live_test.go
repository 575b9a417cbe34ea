package systemtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"noteworks.dev/test/client"
)

// TestNoHandshakeOpensTheLiveSocketForAForeignPage sends what no page of ours and no client of ours sends.
func TestNoHandshakeOpensTheLiveSocketForAForeignPage(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for what, origins := range a.foreignOrigins() {
		got := a.send("", handshake().with("Origin", origins...))
		if code := a.requireRefusal("an origin that is "+what, got, http.StatusForbidden); code != "foreign-origin" {
			t.Errorf("an origin that is %s is refused as %s", what, code)
		}
	}
	for _, query := range []string{"token=" + a.bob.Token(), "access_token=" + a.bob.Token(), "authorization=" + a.bob.Token(), "since=" + a.cursor, "x", "=", "%"} {
		l := handshake()
		l.path += "?" + query
		a.requireRefusal("?"+query, a.send("", l), http.StatusBadRequest)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "get", "X"} {
		l := handshake()
		l.method = method
		a.requireRefusal(method, a.send("", l), http.StatusMethodNotAllowed)
	}
	for what, l := range unfinishedHandshakes() {
		if code := a.requireRefusal(what, a.send("", l), http.StatusBadRequest); code != "websocket-required" {
			t.Errorf("%s is refused as %s", what, code)
		}
	}
	for _, path := range []string{"/", "//api/v1/live", "/api/v1//live", "/api/v1/live/", "/api/v1/live/x", "/api/v1/liv%65/", "/api/v1/LIVE", "/api/v1/x/../live", "/api/v1/live%00", "/api/v1/live/*", "/api/v1/notes"} {
		l := handshake()
		l.path = path
		if got := a.send(a.bob.Token(), l); got.status == http.StatusSwitchingProtocols || got.status >= 500 {
			t.Errorf("%s is answered %d %.200s", path, got.status, got.text)
		}
	}
	for _, host := range []string{"nowhere.localhost", "evil.example", "*.localhost", "*", "a.b.localhost", strings.Repeat("a", 300) + ".localhost"} {
		a.requireRefusal("at "+host, a.send("", a.at(host, handshake())), http.StatusNotFound)
	}
	a.requireUnharmed()
}

// handshake is a good one, of a program: it says no origin.
func handshake() letter {
	return letter{method: http.MethodGet, path: "/api/v1/live", header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}
}

// foreignOrigins are of pages that are not the workspace's own, or of none.
func (a *attacked) foreignOrigins() map[string][]string {
	own := a.stack.URL()
	host := strings.TrimPrefix(own, "http://")
	return map[string][]string{
		"foreign": {"https://evil.example"}, "the other workspace's": {a.otherURL()}, "null": {"null"}, "empty": {""}, "two": {own, own}, "two, one foreign": {own, "https://evil.example"},
		"two in one": {own + ", https://evil.example"}, "ours as a user": {"http://" + host + "@evil.example"}, "ours as a prefix": {own + ".evil.example"}, "ours as a path": {"http://evil.example/" + host},
		"ours without its port": {"http://localhost"}, "ours at another port": {"http://localhost:1"}, "ours with a slash": {own + "/"}, "ours with a query": {own + "?"}, "ours by its address": {"http://127.0.0.1"},
		"a file's": {"file://"}, "of a scheme nobody serves": {"ws://" + host}, "an extension's": {"chrome-extension://" + host}, "a wildcard": {"*"}, "a wildcard of ours": {"http://*.localhost"},
		"NUL": {own + "%00"}, "no UTF-8": {own + "\xff"}, "8 kB": {"http://" + strings.Repeat("a", 8<<10)},
	}
}

// unfinishedHandshakes lack something, each, that opens a WebSocket.
func unfinishedHandshakes() map[string]letter {
	all := map[string]letter{}
	for name := range handshake().header {
		l := handshake().with(name)
		delete(l.header, name)
		all["without "+name] = l
	}
	for what, header := range map[string][2]string{
		"version 8": {"Sec-WebSocket-Version", "8"}, "version 14": {"Sec-WebSocket-Version", "14"}, "a version that is none": {"Sec-WebSocket-Version", "x"},
		"an upgrade to HTTP/2": {"Upgrade", "h2c"}, "an upgrade to nothing": {"Upgrade", ""}, "a connection that closes": {"Connection", "close"}, "an empty key": {"Sec-WebSocket-Key", ""},
	} {
		all[what] = handshake().with(header[0], header[1])
	}
	return all
}

// TestNoFirstFrameLetsAStrangerIn sends each bad credential, each field as what it must not be, and what is no frame.
func TestNoFirstFrameLetsAStrangerIn(t *testing.T) {
	t.Parallel()
	a := attack(t)
	bad := a.badFirstFrames()
	if len(bad) < 100 {
		t.Fatalf("only %d bad frames", len(bad))
	}
	var all sync.WaitGroup
	for what, frames := range bad {
		all.Go(func() {
			a.requireEnd(what, "localhost", frames, "unauthenticated", "token-expired", "wrong-workspace", "malformed-frame", "frame-too-large")
		})
	}
	good := signIn(a.bob)
	for what, c := range map[string]struct{ host, frames, code string }{
		"bob at the other workspace":     {"other.localhost", good, "wrong-workspace"},
		"mallory at this workspace":      {"localhost", signIn(a.mallory), "wrong-workspace"},
		"ann on bob's socket":            {"localhost", good + signIn(a.ann), "other-person"},
		"mallory on bob's socket":        {"localhost", good + signIn(a.mallory), "wrong-workspace"},
		"nobody on bob's socket":         {"localhost", good + text(`{"type":"auth"}`), "unauthenticated"},
		"no frame on bob's socket":       {"localhost", good + text("x"), "malformed-frame"},
		"a good frame, in binary":        {"localhost", binaryFrame(authFrame(a.bob).String()), "binary-frame"},
		"a binary frame on bob's socket": {"localhost", good + binaryFrame("{}"), "binary-frame"},
		"nothing":                        {"localhost", "", "unauthenticated"},
	} {
		all.Go(func() { a.requireEnd(what, c.host, c.frames, c.code) })
	}
	all.Wait()
	a.requireUnharmed()
}

func authFrame(c *client.Client) object { return object{{"type", "auth"}, {"token", c.Token()}} }

// signIn is a frame that lets c in at the own workspace.
func signIn(c *client.Client) string { return text(authFrame(c).String()) }

// badFirstFrames are what is on the wire of each.
func (a *attacked) badFirstFrames() map[string]string {
	a.t.Helper()
	good := authFrame(a.bob)
	bodies := badJSON(good)
	for what, raw := range badValues(&schema{Type: "string"}) {
		bodies["type as "+what] = good.with("type", raw) // a type that nobody knows is ignored, and nobody has said who it is
		bodies["token as "+what] = good.with("token", raw)
	}
	for what, raw := range badValues(&schema{Type: "boolean"}) {
		if what != "null" && what != "a text" { // as if it were not there; any text is a cursor, if only one from nowhere
			bodies["since as "+what] = good.with("since", raw)
		}
	}
	bodies["without type"], bodies["without token"] = good.without("type").String(), good.without("token").String()
	bodies["a byte over the limit"] = good.String() + strings.Repeat(" ", 4<<10+1-len(good.String()))
	for what, values := range a.badTokens() {
		if token := strings.TrimPrefix(values[0], "Bearer "); token != a.ann.Token() {
			value, err := json.Marshal(token)
			a.must(err)
			bodies["a token "+what] = good.with("token", string(value))
		}
	}
	frames := map[string]string{}
	for what, body := range bodies {
		frames[what] = text(body)
	}
	return frames
}

// TestFramesThatNoClientSendsEndTheirOwnSocketOnly floods sockets, and never ends what it has begun, while somebody else reads.
func TestFramesThatNoClientSendsEndTheirOwnSocketOnly(t *testing.T) {
	t.Parallel()
	a := attack(t)
	live := a.watch(a.bob, a.cursor)
	var all sync.WaitGroup
	for who, before := range map[string]string{"nobody": "", "bob": signIn(a.bob)} {
		for what, c := range hostileFrames() {
			all.Go(func() { a.requireEnd(who+" with "+what, "localhost", before+c.frames, c.codes...) })
		}
	}
	all.Go(func() {
		a.requireEnd("bob with a fragment that never goes on", "localhost", signIn(a.bob)+fragment(false, opText, "{"), "malformed-frame")
	})
	all.Wait()
	a.requireUnharmed()
	if fact, err := a.waitFor(live, "note.v1.NoteChanged", a.ids["id"]).Fact(); err != nil || fact.Version != a.version+1 {
		t.Errorf("who read all the time saw %+v, %v", fact, err)
	}
}

type hostile struct {
	frames string
	codes  []string
}

// hostileFrames are what is on the wire of each, after the handshake or after signing in.
func hostileFrames() map[string]hostile {
	const many, mask = 10_000, "\x00\x00\x00\x00"
	tooLarge, malformed, flood := []string{"frame-too-large"}, []string{"malformed-frame"}, []string{"too-many-frames"}
	return map[string]hostile{
		"1 MB":                          {text(strings.Repeat("x", 1<<20)), tooLarge},
		"1 MB of JSON":                  {text(`{"type":"x","y":"` + strings.Repeat("y", 1<<20) + `"}`), tooLarge},
		"a header that announces 1 GB":  {"\x81\xff\x00\x00\x00\x00\x40\x00\x00\x00" + mask + "x", tooLarge},
		"a length below zero":           {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask + "x", malformed},
		"10,000 frames":                 {strings.Repeat(text(`{"type":"x"}`), many), flood},
		"10,000 empty objects":          {strings.Repeat(text(`{}`), many), malformed},
		"10,000 pings":                  {strings.Repeat(fragment(true, opPing, ""), many), flood},
		"10,000 pongs":                  {strings.Repeat(fragment(true, opPong, "nobody asked"), many), flood},
		"fragment by fragment":          {fragment(false, opText, "{") + strings.Repeat(fragment(false, opContinuation, "    "), many), tooLarge},
		"empty fragment by fragment":    {fragment(false, opText, "") + strings.Repeat(fragment(false, opContinuation, ""), many), tooLarge},
		"a message inside a message":    {fragment(false, opText, "{") + text("{"), malformed},
		"a continuation of nothing":     {fragment(true, opContinuation, "{"), malformed},
		"a frame without a mask":        {"\x81\x02{}", malformed},
		"a reserved opcode":             {fragment(true, 3, "{"), malformed},
		"a reserved bit":                {"\xc1\x82" + mask + "{}", malformed},
		"a fragmented ping":             {fragment(false, opPing, "{"), malformed},
		"a ping with too much to carry": {fragment(true, opPing, strings.Repeat("x", 126)), malformed},
		"no UTF-8":                      {text("{\"type\":\"\xff\"}"), malformed},
		"HTTP":                          {"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n", malformed},
	}
}

// TestNoWildcardHearsOfOthers signs the other workspace's owner in with the patterns of NATS wherever a frame can have one.
func TestNoWildcardHearsOfOthers(t *testing.T) {
	t.Parallel()
	a := attack(t)
	workspace := a.claims(a.ann.Token()).WorkspaceID
	wildcards := []string{"*", ">", ".", " ", "*.*", "ws.*.>", "ws.>", "ws." + workspace + ".>", workspace, workspace + ".>", "note.v1.NoteCreated", a.cursor, a.ids["id"], a.bob.User().ID}
	var lines []*line
	for _, w := range wildcards {
		word, err := json.Marshal(w)
		a.must(err)
		auth := authFrame(a.mallory)
		for _, name := range []string{"since", "workspace", "workspaceId", "wid", "subject", "note", "person"} {
			auth = append(auth, member{name, w})
		}
		l, err := a.dial("other.localhost")
		a.must(err)
		for _, frame := range []string{auth.String(), fmt.Sprintf(`{"type":%s}`, word), fmt.Sprintf(`{"type":"subscribe","subject":%s,"note":%s}`, word, word)} {
			a.must(l.write(text(frame)))
		}
		a.must(l.waitFor(`"type":"ready"`))
		lines = append(lines, l)
	}
	secret, err := a.ann.Create(a.ctx(), "Secret", "of the first workspace")
	a.must(err)
	a.must(a.ann.Share(a.ctx(), secret.ID, a.bob.User().ID, "viewer"))
	_, err = a.ann.Change(a.ctx(), secret.ID, secret.Version, "still a secret")
	a.must(err)
	a.waitFor(a.watch(a.bob, a.cursor), "note.v1.NoteChanged", secret.ID)
	own, err := a.mallory.Create(a.ctx(), "Mallory's", "own")
	a.must(err)
	for i, l := range lines {
		if err := l.waitFor(own.ID); err != nil {
			t.Errorf("with %q: %v", wildcards[i], err)
		}
		for _, foreign := range []string{workspace, secret.ID, a.ids["id"], a.bob.User().ID, a.ann.User().ID, "ecret"} {
			if strings.Contains(l.read.String(), foreign) {
				t.Errorf("with %q the other workspace heard of %s: %s", wildcards[i], foreign, l.read.String())
			}
		}
	}
}
