package server_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"noteworks.dev/services/user/server"
)

func trusting(networks ...string) change {
	return func(c *server.Config) {
		for _, n := range networks {
			c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

func TestANewNameIsTold(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	events := w.since(func() {
		for range 2 { // the second time changes nothing
			var me user
			ann.patch("/api/v1/me", map[string]string{"name": " Ann Lee "}).require(t, http.StatusOK).decode(t, &me)
			if me.Name != "Ann Lee" {
				t.Errorf("answered %q", me.Name)
			}
		}
	})
	requireTypes(t, events, "user.v1.UserRenamed")
	if d := events[0].Data; d["userId"] != ann.user.ID || d["name"] != "Ann Lee" || d["version"] != 2.0 {
		t.Errorf("told %v", d)
	}
}

func TestANewPasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	phone := w.browser("default")
	phone.login("ann@example.org", password).require(t, http.StatusOK)
	const next = "the owl of athena "

	ann.patch("/api/v1/me", map[string]string{"newPassword": next}).refused(t, http.StatusBadRequest, "current-password-missing")
	ann.patch("/api/v1/me", map[string]string{"newPassword": next, "currentPassword": "wrong"}).refused(t, http.StatusForbidden, "wrong-password")
	ann.patch("/api/v1/me", map[string]string{"newPassword": "short", "currentPassword": password}).refused(t, http.StatusBadRequest, "password-too-short")
	ann.patch("/api/v1/me", map[string]string{"newPassword": "ann@example.org", "currentPassword": password}).refused(t, http.StatusBadRequest, "password-too-common")
	ann.patch("/api/v1/me", map[string]string{}).refused(t, http.StatusBadRequest, "nothing-to-change")
	phone.get("/api/v1/me").require(t, http.StatusOK)

	events := w.since(func() {
		ann.patch("/api/v1/me", map[string]string{"newPassword": next, "currentPassword": password, "name": "Annie"}).require(t, http.StatusOK)
	})
	requireTypes(t, events, "user.v1.UserRenamed user.v1.SessionsRevoked")
	if d := events[1].Data; d["reason"] != "password-changed" || d["keepSessionId"] == "" || d["sessionIds"] != nil {
		t.Errorf("told %v", d)
	}
	ann.get("/api/v1/me").require(t, http.StatusOK)
	ann.refresh().require(t, http.StatusOK)
	phone.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended")
	phone.refresh().refused(t, http.StatusUnauthorized, "session-ended")
	phone.login("ann@example.org", password).refused(t, http.StatusUnauthorized, "wrong-credentials")
	phone.login("ann@example.org", strings.TrimSpace(next)).refused(t, http.StatusUnauthorized, "wrong-credentials")
	phone.login("ann@example.org", next).require(t, http.StatusOK)
}

func TestTheOwnerKeepsSomeoneOutAndLetsThemInAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner, ann := w.owner("default"), w.signUp("Ann")
	at := "/api/v1/users/" + ann.user.ID
	events := w.since(func() {
		for range 2 { // once is enough
			owner.post(at+"/deactivate", nil).require(t, http.StatusNoContent)
		}
	})
	requireTypes(t, events, "user.v1.UserDeactivated user.v1.SessionsRevoked")
	if d := events[0].Data; d["userId"] != ann.user.ID || d["actorId"] != owner.user.ID || d["version"] != 2.0 {
		t.Errorf("told %v", d)
	}
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended")
	ann.refresh().refused(t, http.StatusUnauthorized, "session-ended")

	events = w.since(func() {
		for range 2 {
			owner.post(at+"/reactivate", nil).require(t, http.StatusNoContent)
		}
	})
	requireTypes(t, events, "user.v1.UserReactivated")
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended") // the old session stays ended
	ann.login("ann@example.org", password).require(t, http.StatusOK)
}

func TestTheOwnerInheritsFromWhoIsDeleted(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner, ann := w.owner("default"), w.signUp("Ann")
	at := "/api/v1/users/" + ann.user.ID
	events := w.since(func() { owner.do(http.MethodDelete, at, nil).require(t, http.StatusNoContent) })
	requireTypes(t, events, "user.v1.UserDeleted user.v1.SessionsRevoked")
	if d := events[0].Data; d["userId"] != ann.user.ID || d["actorId"] != owner.user.ID || d["successorId"] != owner.user.ID || d["version"] != 2.0 {
		t.Errorf("told %v", d)
	}
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended")
	owner.do(http.MethodDelete, at, nil).refused(t, http.StatusNotFound, "not-found")
	owner.post(at+"/reactivate", nil).refused(t, http.StatusNotFound, "not-found")
	w.signUp("Ann") // the address is free again
}

func TestOnlyTheOwnerAdministers(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner, ann, bob := w.owner("default"), w.signUp("Ann"), w.signUp("Bob")
	acts := []struct{ method, end string }{{http.MethodPost, "/deactivate"}, {http.MethodPost, "/reactivate"}, {http.MethodDelete, ""}}
	events := w.since(func() {
		for _, act := range acts {
			path := func(id string) string { return "/api/v1/users/" + id + act.end }
			ann.do(act.method, path(bob.user.ID), nil).refused(t, http.StatusForbidden, "owner-only")
			ann.do(act.method, path(ann.user.ID), nil).refused(t, http.StatusForbidden, "owner-only")
			ann.do(act.method, path(newID(t)), nil).refused(t, http.StatusNotFound, "not-found")
			owner.do(act.method, path(owner.user.ID), nil).refused(t, http.StatusConflict, "owner-stays")
			id := bob.user.ID
			for _, odd := range []string{
				strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), "{" + id + "}", "urn:uuid:" + id, id + "%20", "%00", "x", "..%2f" + id, "1", "'%20or%201=1--",
			} {
				owner.do(act.method, path(odd), nil).refused(t, http.StatusNotFound, "not-found")
			}
		}
	})
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
	bob.get("/api/v1/me").require(t, http.StatusOK)
	w.requireQuiet()
}

type userList struct {
	Items      []user
	NextCursor *string
}

func (b *browser) list(t *testing.T, query string) userList {
	t.Helper()
	var l userList
	b.get("/api/v1/users"+query).require(t, http.StatusOK).decode(t, &l)
	return l
}

func namesOf(l userList) string {
	names := make([]string, 0, len(l.Items))
	for _, u := range l.Items {
		names = append(names, u.Name)
	}
	return strings.Join(names, ",")
}

func TestFindingPeople(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	for _, name := range []string{"Bob_1", "bobby", "Robob", "Zoe"} {
		w.signUp(name)
	}
	ann.patch("/api/v1/me", map[string]string{"name": "Änne 100%"}).require(t, http.StatusOK)
	for query, want := range map[string]string{
		"":                                "Bob_1,bobby,Olga default,Robob,Zoe,Änne 100%",
		"?email=BOBBY@example.org":        "bobby",
		"?email=bobby@example":            "",
		"?email=nobody@example.org":       "",
		"?q=bob":                          "Bob_1,bobby,Robob",
		"?q=BOBB":                         "bobby",
		"?q=ob_":                          "Bob_1",
		"?q=%25":                          "Änne 100%",
		"?q=" + url.QueryEscape("änne"):   "Änne 100%",
		"?q=" + url.QueryEscape(`\`):      "",
		"?q=" + url.QueryEscape("' or 1"): "",
		"?q=zoe@":                         "Zoe",
		"?q=example.org":                  "",
		"?q=bob&email=bobby@example.org":  "bobby",
		"?q=zoe&email=bobby@example.org":  "",
		"?q=%20%20":                       "Bob_1,bobby,Olga default,Robob,Zoe,Änne 100%",
	} {
		if got := namesOf(ann.list(t, query)); got != want {
			t.Errorf("%s finds %q, want %q", query, got, want)
		}
	}
}

func TestPagesOfPeople(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	for i := range 6 {
		b := w.signUp(fmt.Sprintf("p%d", i))
		b.patch("/api/v1/me", map[string]string{"name": "Same Name"}).require(t, http.StatusOK)
	}
	seen := map[string]int{}
	query, pages := "?limit=3", 0
	for {
		l := ann.list(t, query)
		pages++
		for _, u := range l.Items {
			seen[u.ID]++
		}
		if l.NextCursor == nil {
			break
		}
		query = "?limit=3&cursor=" + *l.NextCursor
	}
	if len(seen) != 8 || pages != 3 {
		t.Errorf("%d people on %d pages, want 8 on 3", len(seen), pages)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	cursor := *ann.list(t, "?limit=3").NextCursor
	w.apply("acme")
	stranger := w.owner("acme")
	stranger.get("/api/v1/users?cursor="+cursor).refused(t, http.StatusBadRequest, "invalid-cursor")
	ann.get("/api/v1/users?q=x&cursor="+cursor).refused(t, http.StatusBadRequest, "invalid-cursor")
}

func TestOddListRequests(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	for query, code := range map[string]string{
		"?limit=0": "invalid-limit", "?limit=-1": "invalid-limit", "?limit=101": "invalid-limit", "?limit=1000000000": "invalid-limit",
		"?limit=x": "invalid-limit", "?limit=1e2": "invalid-limit", "?limit=99999999999999999999": "invalid-limit",
		"?limit=5&limit=5": "repeated-parameter", "?q=a&q=b": "repeated-parameter", "?email=a@b&email=c@d": "repeated-parameter",
		"?email=": "invalid-email", "?email=x": "invalid-email", "?email=" + strings.Repeat("a", 300) + "@example.org": "invalid-email",
		"?q=" + strings.Repeat("a", 101): "invalid-q",
		"?cursor=x":                      "invalid-cursor", "?cursor=" + strings.Repeat("A", 4000): "invalid-cursor",
		"?q=%00": "invalid-query", "?q=%ff": "invalid-query", "?q=%zz": "invalid-query", "?q=a;b": "invalid-query",
	} {
		ann.get("/api/v1/users"+query).refused(t, http.StatusBadRequest, code)
	}
}

func TestPrivateAnswersAreAskedForAgainAndOftenUnchanged(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	for _, path := range []string{"/api/v1/me", "/api/v1/users", "/api/v1/workspace"} {
		first := ann.get(path).require(t, http.StatusOK)
		tag := first.header.Get("ETag")
		if tag == "" || !strings.Contains(first.header.Get("Cache-Control"), "private") {
			t.Errorf("%s: ETag %q, Cache-Control %q", path, tag, first.header.Get("Cache-Control"))
		}
		ann.do(http.MethodGet, path, nil, func(r *http.Request) { r.Header.Set("If-None-Match", tag) }).require(t, http.StatusNotModified)
	}
}
