package server

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestASuspendedWorkspaceLetsNobodyInAndLosesNobody(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, zoe := w.person(here), w.person(there)
	b := w.live(ann, "")
	b.is("ready")
	if a := w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}

	begin := time.Now()
	w.apply(policy{Suspended: true})
	if f := b.is("error"); f.Code != "workspace-suspended" {
		t.Errorf("%+v", f)
	}
	if f := b.is("close"); f.Code != "workspace-suspended" {
		t.Errorf("%+v", f)
	}
	if took := time.Since(begin); took > 3*time.Second { // a busy machine
		t.Errorf("after %v", took)
	}
	w.requireSuspended(ann)
	if a := w.call(http.MethodGet, "/api/v1/notes", with(bearer(zoe.token), "Host", "other.localhost"), nil); a.status != 200 {
		t.Errorf("another workspace: %d %s", a.status, a.body)
	}

	w.apply(policy{})
	w.eventually("the workspace to be open", func() bool { return w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil).status == 200 })
	w.live(ann, "").is("ready")
	if a := w.call(http.MethodGet, "/", http.Header{"Accept": {"text/html"}}, nil); a.status != 200 {
		t.Errorf("the app: %d %s", a.status, a.body)
	}
}

// requireSuspended goes to each of the doors that p came in by before.
func (w *world) requireSuspended(p person) {
	w.t.Helper()
	before := w.user.count() + w.note.count()
	for _, target := range []string{"GET /api/v1/notes", "POST /api/v1/auth/login", "POST /api/v1/auth/refresh", "GET /api/v1/me", "PATCH /api/v1/notes/1", "GET /api/v1/invitations"} {
		method, path, _ := strings.Cut(target, " ")
		for _, header := range []http.Header{nil, bearer(p.token), bearer("not a token")} {
			if a := w.call(method, path, header, nil); a.status != 503 || a.code != "workspace-suspended" || a.header.Get("Retry-After") != "60" {
				w.t.Errorf("%s: %d %v %s", target, a.status, a.header, a.body)
			}
		}
	}
	if n := w.user.count() + w.note.count(); n != before {
		w.t.Errorf("%d requests reached the services", n-before)
	}
	if _, err := w.dialLive(nil); err == nil {
		w.t.Error("a socket was opened")
	}
	if a := w.call(http.MethodGet, "/api/v1/workspace", nil, nil); a.status != 200 || !strings.Contains(a.body, `"suspended":true`) {
		w.t.Errorf("the workspace itself: %d %s", a.status, a.body)
	}
	a := w.call(http.MethodGet, "/notes/1", http.Header{"Accept": {"text/html"}}, nil)
	if a.status != 503 || a.header.Get("Retry-After") != "60" || !strings.Contains(a.body, "This workspace is suspended") {
		w.t.Errorf("a page: %d %v %s", a.status, a.header, a.body)
	}
	if a := w.call(http.MethodGet, "/index.html", nil, nil); a.status != 200 {
		w.t.Errorf("a part of the app: %d %s", a.status, a.body)
	}
}

func TestASuspensionTakesEffectWhateverWasKnown(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person(here)
	for i := range 5 {
		want := map[bool]int{true: 503, false: 200}[i%2 == 0]
		w.apply(policy{Suspended: i%2 == 0})
		w.eventually("the change to take effect", func() bool { return w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil).status == want })
		for range 20 { // and not to be taken back by an answer from before
			if a := w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil); a.status != want {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
	}
}

func TestAWorkspaceMaySendSoManyRequestsAMinute(t *testing.T) {
	t.Parallel()
	w := startWorld(t, func(c *Config) { // a time that stands still gives nothing back
		now := time.Now()
		c.Now = func() time.Time { return now }
	})
	w.mu.Lock()
	w.policy = policy{RequestsPerMinute: 6}
	w.mu.Unlock()
	ann, zoe := w.person(here), w.person(there)
	notes := func() answer { return w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil) }

	for range 20 { // which do not count
		w.call(http.MethodGet, "/api/v1/workspace", nil, nil)
		w.call(http.MethodGet, "/", http.Header{"Accept": {"text/html"}}, nil)
		w.call(http.MethodGet, "/api/v1/notes", bearer("not a token"), nil)
		w.call(http.MethodGet, "/api/v1/nothing", nil, nil)
	}
	b := w.live(ann, "")
	b.is("ready")
	for range 5 {
		b.auth(ann.token, "")
		b.is("ready")
	}
	for i := range 5 {
		if a := notes(); a.status != 200 {
			t.Fatalf("request %d: %d %s", i, a.status, a.body)
		}
	}
	a := notes()
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != 429 || a.code != "requests-limit-reached" || err != nil || wait < 1 || wait > 10 {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if _, err := w.dialLive(nil); err == nil {
		t.Error("a socket was opened")
	}
	for _, target := range []string{"/api/v1/workspace", "/"} {
		if a := w.call(http.MethodGet, target, http.Header{"Accept": {"text/html"}}, nil); a.status != 200 {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	if a := w.call(http.MethodGet, "/api/v1/notes", with(bearer(zoe.token), "Host", "other.localhost"), nil); a.status != 200 {
		t.Errorf("another workspace: %d %s", a.status, a.body)
	}
	if got := w.metric("noteworks_requests_limited_total"); got != "2" {
		t.Errorf("%s refused", got)
	}
	if said := w.log.String(); strings.Count(said, "workspace sends more than it may") != 1 || !strings.Contains(said, `"requests_per_minute":6`) {
		t.Errorf("the log does not say once whose: %s", said)
	}

	w.apply(policy{RequestsPerMinute: 12})
	w.eventually("the other limit", func() bool { return notes().status == 200 })
}
