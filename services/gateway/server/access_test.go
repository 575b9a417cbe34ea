package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/auth"
)

func with(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h.Set(name, value)
	return h
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person(here)
	claims := func(change func(*auth.Claims)) string {
		c := auth.NewClaims(ann.id, here, ann.session, time.Now())
		change(&c)
		return w.sign(c)
	}
	for name, c := range map[string]struct {
		target string
		header http.Header
		status int
		code   string
	}{
		"anonymous":                     {"/api/v1/notes", nil, 200, ""},
		"good":                          {"/api/v1/notes", bearer(ann.token), 200, ""},
		"expired":                       {"/api/v1/notes", bearer(claims(func(c *auth.Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Minute)) })), 401, "token-expired"},
		"not yet":                       {"/api/v1/notes", bearer(claims(func(c *auth.Claims) { c.NotBefore = jwt.NewNumericDate(time.Now().Add(time.Minute)) })), 401, "invalid-token"},
		"for others":                    {"/api/v1/notes", bearer(claims(func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"another-api"} })), 401, "invalid-token"},
		"forged":                        {"/api/v1/notes", bearer(ann.token[:len(ann.token)-4] + "AAAA"), 401, "invalid-token"},
		"not a token":                   {"/api/v1/notes", bearer("hello"), 401, "invalid-token"},
		"another scheme":                {"/api/v1/notes", http.Header{"Authorization": {"Basic YTpi"}}, 401, "invalid-token"},
		"two":                           {"/api/v1/notes", http.Header{"Authorization": {"Bearer " + ann.token, "Bearer " + ann.token}}, 401, "invalid-token"},
		"at another workspace's host":   {"/api/v1/notes", with(bearer(ann.token), "Host", "other.localhost"), 401, "wrong-workspace"},
		"at a host with a port":         {"/api/v1/notes", with(bearer(ann.token), "Host", "LOCALHOST:8080"), 200, ""},
		"at a host without a workspace": {"/api/v1/notes", with(bearer(ann.token), "Host", "nowhere.localhost"), 404, "workspace-not-found"},
		"anonymous, no workspace":       {"/api/v1/notes", http.Header{"Host": {"nowhere.localhost"}}, 404, "workspace-not-found"},
		"expired where none is needed":  {"/api/v1/auth/refresh", bearer("stale"), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := w.call(http.MethodGet, c.target, c.header, nil); a.status != c.status || a.code != c.code {
				t.Errorf("%d %q: %s", a.status, a.code, a.body)
			}
		})
	}
}

func TestAStaleTokenIsNotSentToWhereNoneIsNeeded(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.call(http.MethodPost, "/api/v1/auth/refresh", bearer("stale"), nil)
	if got := w.user.last(t).header.Get("Authorization"); got != "" {
		t.Errorf("Authorization reached the service as %q", got)
	}
	ann := w.person(here)
	w.call(http.MethodGet, "/api/v1/me", bearer(ann.token), nil)
	if got := w.user.last(t).header.Get("Authorization"); got != "Bearer "+ann.token {
		t.Errorf("Authorization reached the service as %q", got)
	}
}

func TestAnEndedSessionIsRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person(here), w.person(here)
	for _, p := range []person{ann, bob} {
		if a := w.call(http.MethodGet, "/api/v1/notes", bearer(p.token), nil); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	w.facts.publish(here, ann.id, &userv1.SessionsRevoked{UserId: ann.id, SessionIds: []string{ann.session}, Reason: "signed-out"})
	w.eventually("the session to end", func() bool {
		a := w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil)
		return a.status == 401 && a.code == "session-ended"
	})
	if a := w.call(http.MethodGet, "/api/v1/notes", bearer(bob.token), nil); a.status != 200 {
		t.Errorf("somebody else: %d %s", a.status, a.body)
	}
}

func TestADeletedWorkspaceIsGone(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, zoe := w.person(here), w.person(there)
	other := with(bearer(zoe.token), "Host", "other.localhost")
	if a := w.call(http.MethodGet, "/api/v1/notes", other, nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.facts.publish(there, there, &workspacev1.WorkspaceDeleted{WorkspaceId: there})
	w.eventually("the workspace to go", func() bool { return w.call(http.MethodGet, "/api/v1/notes", other, nil).status == 401 })
	if a := w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil); a.status != 200 {
		t.Errorf("another workspace: %d %s", a.status, a.body)
	}
}

func TestAHostWithoutAWorkspaceHasAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	nowhere := http.Header{"Host": {"nowhere.localhost"}, "Accept": {"text/html"}}
	a := w.call(http.MethodGet, "/notes/1", nowhere, nil)
	if a.status != 404 || !strings.Contains(a.body, "There is no workspace at this address") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.call(http.MethodGet, "/app.js", http.Header{"Host": {"nowhere.localhost"}}, nil); a.status != 404 || a.code != "workspace-not-found" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.call(http.MethodGet, "/notes/1", http.Header{"Accept": {"text/html"}}, nil); a.status != 200 || !strings.Contains(a.body, "<title>app</title>") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTheAppIsServedWhileTheUserServiceIsAway(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.user.srv.Close()
	if a := w.call(http.MethodGet, "/", http.Header{"Accept": {"text/html"}}, nil); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.call(http.MethodPost, "/api/v1/auth/login", nil, nil); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWhoIsSignedInGoesOnWhileTheUserServiceIsAway(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person(here)
	if a := w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.user.srv.Close()
	fresh := w.person(here)
	for _, p := range []person{ann, fresh} {
		if a := w.call(http.MethodGet, "/api/v1/notes", bearer(p.token), nil); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// eventually waits for something that nothing tells of.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}
