package systemtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"noteworks.dev/test/client"
)

// attacked is a stack of real programs with something in it that must not change, whatever is sent.
type attacked struct {
	*world
	operations []operation
	documented map[string]bool   // codes
	settings   *settings         // of the services, as the stack chose them
	bodies     map[string]object // an acceptable one for each operation that takes one

	ann, bob, mallory *client.Client // the owner, a member who may edit ann's note, the owner of the other workspace
	ids               map[string]string
	version           int    // of ann's note
	cursor            string // of bob's live socket before it all
	before            string

	kid string // of the key that signs access tokens
	key ed25519.PrivateKey
}

// object keeps its members in order, so that a test can break one of them.
type object []member

type member struct {
	name  string
	value any
}

func (o object) String() string {
	var parts []string
	for _, m := range o {
		value, _ := json.Marshal(m.value) // plain values
		parts = append(parts, fmt.Sprintf("%q:%s", m.name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// with is o with raw JSON in the place of a member's value.
func (o object) with(name, raw string) string {
	var parts []string
	for _, m := range slices.Concat(o.without(name), object{{name, json.RawMessage("null")}}) {
		value, _ := json.Marshal(m.value)
		if m.name == name {
			value = []byte(raw)
		}
		parts = append(parts, fmt.Sprintf("%q:%s", m.name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

const password = "correct horse battery staple"

// goodBodies are acceptable; an operation that takes a body must be in the list.
func goodBodies(t *testing.T, all []operation) map[string]object {
	t.Helper()
	good := map[string]object{
		"register":         {{"email", "eve@example.com"}, {"name", "Eve"}, {"password", password}},
		"login":            {{"email", "bob@example.com"}, {"password", password}},
		"updateMe":         {{"name", "Renamed"}, {"currentPassword", password}, {"newPassword", "another horse battery staple"}},
		"createInvitation": {{"email", "carol@example.com"}},
		"createNote":       {{"title", "New"}, {"body", "text"}, {"tags", []string{"a"}}},
		"updateNote":       {{"title", "Changed"}, {"body", "text"}, {"tags", []string{"a"}}},
		"shareNote":        {{"role", "viewer"}},
	}
	for _, o := range all {
		if (o.body != nil) != (good[o.id] != nil) {
			t.Fatalf("%s: the test has no body for it, or one too many", o.id)
		}
		for _, m := range good[o.id] {
			if o.body.Properties[m.name] == nil {
				t.Fatalf("%s: the test's body has %s, the file's has not", o.id, m.name)
			}
		}
	}
	return good
}

// settings remembers what each service was started with.
type settings struct {
	mu sync.Mutex
	of map[string]map[string]string
}

func (s *settings) around(launch launcher) launcher {
	return func(ctx context.Context, service string, given map[string]string) (func(context.Context) error, error) {
		s.mu.Lock()
		s.of[service] = maps.Clone(given)
		s.mu.Unlock()
		return launch(ctx, service, given)
	}
}

func attack(t *testing.T) *attacked {
	t.Helper()
	a := &attacked{operations: operations(t), documented: documentedCodes(t), settings: &settings{of: map[string]map[string]string{}}}
	a.bodies = goodBodies(t, a.operations)
	a.world = startWorld(t, func(l *logs, c *collector) launcher { return a.settings.around(launchPrograms(t)(l, c)) })
	a.ann, a.bob = a.owner(), a.signUp("bob")
	a.mallory = client.New(a.otherURL(), client.Loopback())
	email, secret := a.stack.Owner("other")
	a.must(a.mallory.Login(a.ctx(), email, secret))

	n, err := a.ann.Create(a.ctx(), "Plan", "first")
	a.must(err)
	a.must(a.ann.Share(a.ctx(), n.ID, a.bob.User().ID, "editor"))
	n, err = a.ann.Change(a.ctx(), n.ID, n.Version, "second")
	a.must(err)
	trashed, err := a.ann.Create(a.ctx(), "Trashed", "gone")
	a.must(err)
	_, err = a.ann.Do(a.ctx(), http.MethodDelete, "/api/v1/notes/"+trashed.ID, nil, nil, nil)
	a.must(err)
	a.version = n.Version
	a.ids = map[string]string{
		"id": n.ID, "userId": a.bob.User().ID, "version": "1", "invitationId": a.invite(a.ann, "dora@example.com").ID,
	}
	live := a.watch(a.bob, "")
	a.waitForAll(live)
	a.kid, a.key = a.signingKey()
	a.before = a.everything()
	return a
}

// waitForAll reads bob's socket up to the last thing that has happened so far.
func (a *attacked) waitForAll(live *client.Live) {
	a.t.Helper()
	n, err := a.ann.Create(a.ctx(), "Last", "of the beginning")
	a.must(err)
	a.must(a.ann.Share(a.ctx(), n.ID, a.bob.User().ID, "viewer"))
	a.cursor = a.waitFor(live, "note.v1.NoteShared", n.ID).Cursor
	live.Close()
}

func (a *attacked) otherURL() string {
	return strings.Replace(a.stack.URL(), "localhost", "other.localhost", 1)
}

// everything is what three people see of both workspaces, through every door that shows something.
func (a *attacked) everything() string {
	a.t.Helper()
	var all strings.Builder
	for _, c := range []*client.Client{a.ann, a.bob, a.mallory} {
		paths := []string{"/api/v1/workspace", "/api/v1/me", "/api/v1/users?limit=100", "/api/v1/tags"}
		if c != a.bob {
			paths = append(paths, "/api/v1/invitations?limit=100")
		}
		for _, view := range []string{"all", "mine", "shared", "pinned", "archived", "trash"} {
			paths = append(paths, "/api/v1/notes?limit=100&view="+view)
		}
		if c != a.mallory {
			at := "/api/v1/notes/" + a.ids["id"]
			paths = append(paths, at, at+"/shares", at+"/revisions", at+"/revisions/1")
		}
		for _, path := range paths {
			var body json.RawMessage
			_, err := c.Do(a.ctx(), http.MethodGet, path, nil, nil, &body)
			a.must(err)
			fmt.Fprintf(&all, "%s of %s: %s\n", path, c.User().Email, body)
		}
	}
	return all.String()
}

// requireUnharmed wants everything as it was, nothing told to anybody, and good requests answered.
func (a *attacked) requireUnharmed() {
	a.t.Helper()
	if after := a.everything(); after != a.before {
		a.t.Errorf("something changed:\n%s", differences(a.before, after))
	}
	n, err := a.ann.Change(a.ctx(), a.ids["id"], a.version, "third")
	a.must(err)
	live := a.watch(a.bob, a.cursor)
	for {
		f, err := live.Next(a.ctx())
		a.must(err)
		if f.Type != "event" {
			continue
		}
		fact, err := f.Fact()
		a.must(err)
		if f.Event != "note.v1.NoteChanged" || fact.NoteID != n.ID || fact.Version != n.Version {
			a.t.Errorf("somebody was told %s %s", f.Event, f.Data)
		}
		return
	}
}

// letter is a request down to what no well-behaved client would send.
type letter struct {
	method, path string // the path as it stands in the request line, with its query
	host         string // what the Host header says, if not the address
	header       http.Header
	body         io.Reader
}

// answered is what came back.
type answered struct {
	status int
	header http.Header
	text   string
}

// send is one request by somebody; by nobody if token is empty.
func (a *attacked) send(token string, l letter) answered {
	a.t.Helper()
	got, err := a.try(token, l)
	if err != nil {
		a.t.Fatalf("%s %.200s: %v", l.method, l.path, err)
	}
	return got
}

func (a *attacked) try(token string, l letter) (answered, error) {
	req, err := http.NewRequestWithContext(a.t.Context(), l.method, a.stack.URL(), l.body)
	if err != nil {
		return answered{}, err
	}
	path, query, _ := strings.Cut(l.path, "?")
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	if l.host != "" {
		req.Host = l.host
	}
	maps.Copy(req.Header, l.header)
	if token != "" && req.Header["Authorization"] == nil {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if l.body != nil && req.Header["Content-Type"] == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := loopback.RoundTrip(req)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(text)}, err
}

// loopback follows no redirect, keeps no cookie, and sends no body that was announced and is not wanted.
var loopback = func() *http.Transport { //nolint:gochecknoglobals // connections are worth keeping
	t := client.Loopback()
	t.ExpectContinueTimeout = patience
	return t
}()

// leaks is what no answer may tell: our insides, in the words of Go, of its libraries and of SQL.
var leaks = regexp.MustCompile(`(?i)goroutine \d|panic|\.go:\d|runtime error|sqlstate|pgx|postgres|gorm|relation "|\bselect\b.+\bfrom\b|insert into|` +
	`rest\.[A-Z]|json:|strconv|reflect|\bgin\b|unmarshal|oapi|nil pointer|/home/|/root/|127\.0\.0\.1|jwt|ed25519`)

// insides is the same for callers of ours, who may know what the messages are written in.
var insides = regexp.MustCompile(`(?i)goroutine \d|panic|\.go:\d|runtime error|sqlstate|pgx|postgres|gorm|relation "|insert into|nil pointer|/home/|/root/`)

// requireRefusal wants a problem with one of the statuses, and with nothing in it that is not the caller's business.
func (a *attacked) requireRefusal(what string, got answered, statuses ...int) (code string) {
	a.t.Helper()
	var p struct {
		Type, Title, Code, TraceID string
		Status                     int
	}
	err := json.Unmarshal([]byte(got.text), &p)
	switch {
	case !slices.Contains(statuses, got.status):
		a.t.Errorf("%s: answered %d, not %v: %.300s", what, got.status, statuses, got.text)
	case err != nil || got.header.Get("Content-Type") != "application/problem+json":
		a.t.Errorf("%s: answered with no problem but with %q: %.300s", what, got.header.Get("Content-Type"), got.text)
	case p.Status != got.status || p.Type == "" || p.Title == "":
		a.t.Errorf("%s: a problem of status %d says %s", what, got.status, got.text)
	case !a.documented[p.Code]:
		a.t.Errorf("%s: docs/errors.md does not know the code %q", what, p.Code)
	case !traceID.MatchString(p.TraceID):
		a.t.Errorf("%s: no trace can be found by %q", what, p.TraceID)
	case leaks.MatchString(got.text):
		a.t.Errorf("%s: tells of its insides by %q: %s", what, leaks.FindString(got.text), got.text)
	case got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff":
		a.t.Errorf("%s: a refusal that may be kept or guessed at: %v", what, got.header)
	}
	return p.Code
}

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// documentedCodes are those of the tables in docs/errors.md that have a status.
func documentedCodes(t *testing.T) map[string]bool {
	t.Helper()
	codes := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| \\d{3} \\| `([a-z-]+)` \\|").FindAllStringSubmatch(page(t, "errors.md"), -1) {
		codes[row[1]] = true
	}
	if len(codes) < 50 {
		t.Fatalf("only %d codes are documented", len(codes))
	}
	return codes
}

// header is what the operation needs beside its body to be done.
func (a *attacked) header(o operation) http.Header {
	h := http.Header{}
	for _, p := range o.params {
		if p.In == "header" && p.Name == "If-Match" {
			h.Set("If-Match", fmt.Sprintf("%q", fmt.Sprint(a.version)))
		}
	}
	return h
}

// good is a request that would be done.
func (a *attacked) good(o operation) letter {
	l := letter{method: o.method, path: o.at(a.ids), header: a.header(o)}
	if o.body != nil {
		l.body = strings.NewReader(a.bodies[o.id].String())
	}
	return l
}

// inHand gives a letter an exact body, whose length is told.
func (l letter) inHand(body string) letter {
	l.body = bytes.NewReader([]byte(body))
	return l
}

// inPieces gives a letter a body whose length is not told.
func (l letter) inPieces(body io.Reader) letter {
	l.body = struct{ io.Reader }{body}
	return l
}

// spaces are so many of them.
type spaces struct {
	mu   sync.Mutex
	left int
}

func (s *spaces) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(p), s.left)
	if n == 0 {
		return 0, io.EOF
	}
	copy(p, bytes.Repeat([]byte(" "), n))
	s.left -= n
	return n, nil
}

func (s *spaces) unread() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}
