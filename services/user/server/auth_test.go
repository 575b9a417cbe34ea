package server_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/user/server"
)

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.signUp("Ann")
	ann := w.browser("default")
	ann.login("  ANN@Example.org ", password).require(t, http.StatusOK)
	ann.get("/api/v1/me").require(t, http.StatusOK)

	events := w.since(func() { ann.post("/api/v1/auth/logout", nil).require(t, http.StatusNoContent) })
	requireTypes(t, events, "user.v1.SessionsRevoked")
	if d := events[0].Data; d["reason"] != "signed-out" || len(d["sessionIds"].([]any)) != 1 {
		t.Errorf("told %v", d)
	}
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended")
	ann.refresh().refused(t, http.StatusUnauthorized, "session-ended")
	if again := w.since(func() { ann.post("/api/v1/auth/logout", nil).require(t, http.StatusNoContent) }); len(again) != 0 {
		t.Errorf("signing out again told %s", types(again))
	}
	w.requireQuiet()
}

func TestTheCookieIsForTheAuthRoutesOnly(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("default")
	cookies := ann.register("Ann").require(t, http.StatusCreated).cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	c := cookies[0]
	if c.Name != "nw_refresh" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/api/v1/auth" || c.Secure || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	if left := time.Duration(c.MaxAge) * time.Second; left < 29*24*time.Hour || left > 30*24*time.Hour {
		t.Errorf("the cookie lasts %s, want 30 days", left)
	}
	gone := ann.post("/api/v1/auth/logout", nil).cookies()
	if len(gone) != 1 || gone[0].MaxAge != -1 || gone[0].Value != "" || gone[0].Path != "/api/v1/auth" {
		t.Errorf("signing out leaves %+v", gone)
	}
}

func TestTheCookieIsSecureWhenATrustedProxySaysHTTPS(t *testing.T) {
	t.Parallel()
	https := func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }
	for trusted, want := range map[string]bool{"127.0.0.0/8": true, "10.0.0.0/8": false} {
		w := startWorld(t, trusting(trusted))
		a := w.browser("default").do(http.MethodPost, "/api/v1/auth/login", map[string]string{"email": ownerEmail("default"), "password": password}, https)
		if got := a.require(t, http.StatusOK).cookies()[0].Secure; got != want {
			t.Errorf("proxies in %s: secure %v, want %v", trusted, got, want)
		}
	}
}

func TestWrongCredentialsAreAllTheSame(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.signUp("Ann")
	gone := w.signUp("Gus")
	w.owner("default").post("/api/v1/users/"+gone.user.ID+"/deactivate", nil).require(t, http.StatusNoContent)
	w.apply("acme")

	seen := map[string]bool{}
	for name, c := range map[string]struct{ slug, email, password string }{
		"wrong password":      {"default", "ann@example.org", "the owl of athena"},
		"no such person":      {"default", "nobody@example.org", password},
		"no address":          {"default", "nobody", password},
		"deactivated":         {"default", "gus@example.org", password},
		"another workspace":   {"acme", "ann@example.org", password},
		"empty password":      {"default", "ann@example.org", ""},
		"a trailing space":    {"default", "ann@example.org", password + " "},
		"a password of 1 kB":  {"default", "ann@example.org", string(make1k())},
		"somebody's password": {"default", "owner@default.example", "the owl of minervA"},
	} {
		a := w.browser(c.slug).login(c.email, c.password).refused(t, http.StatusUnauthorized, "wrong-credentials")
		var p struct{ Detail, Field string }
		a.decode(t, &p)
		seen[p.Detail+"|"+p.Field] = true
		if len(a.cookies()) != 0 {
			t.Errorf("%s: a cookie was set", name)
		}
	}
	if len(seen) != 1 {
		t.Errorf("the answers tell the cases apart: %v", seen)
	}
}

func make1k() []byte {
	b := make([]byte, 1024)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func TestARefreshGivesTheNextTokens(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	first, access := ann.cookie, ann.token
	w.clock.move(4 * time.Minute)
	ann.refresh().require(t, http.StatusOK)
	if ann.cookie == first || ann.token == access {
		t.Fatal("a token stayed the same")
	}
	w.clock.move(2 * time.Minute)
	ann.get("/api/v1/me").require(t, http.StatusOK)
	ann.token = access
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "token-expired")
}

func TestTwoTabsMayRefreshAtOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	const tabs = 20
	answers := make([]*answer, tabs)
	var all sync.WaitGroup
	for i := range tabs {
		tab := *ann
		all.Go(func() { answers[i] = tab.refresh() })
	}
	all.Wait()
	successors := map[string]bool{}
	for _, a := range answers {
		successors[a.require(t, http.StatusOK).cookies()[0].Value] = true
	}
	if len(successors) != 1 {
		t.Fatalf("%d successors of one token", len(successors))
	}
	for token := range successors {
		ann.cookie = token
	}
	w.clock.move(time.Minute)
	ann.refresh().require(t, http.StatusOK)
}

func TestAStolenTokenEndsTheSessionForBoth(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	other := w.browser("default")
	other.login("ann@example.org", password).require(t, http.StatusOK)
	thief := *ann
	ann.refresh().require(t, http.StatusOK)
	w.clock.move(16 * time.Second)

	events := w.since(func() {
		a := thief.refresh().refused(t, http.StatusUnauthorized, "session-ended")
		if c := a.cookies(); len(c) != 1 || c[0].MaxAge != -1 {
			t.Errorf("the cookie stays: %v", c)
		}
	})
	requireTypes(t, events, "user.v1.SessionsRevoked")
	if d := events[0].Data; d["reason"] != "reused-token" || d["userId"] != ann.user.ID || len(d["sessionIds"].([]any)) != 1 {
		t.Errorf("told %v", d)
	}
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended")
	ann.refresh().refused(t, http.StatusUnauthorized, "session-ended")
	other.refresh().require(t, http.StatusOK) // another session of the same person goes on
}

func TestInventedRefreshTokensEndNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	good := ann.cookie
	flipped := []byte(good)
	flipped[40] ^= 1
	for _, token := range []string{"", "x", "null", good[1:], good + "A", string(flipped), ann.token} {
		guess := *ann
		guess.cookie = token
		if events := w.since(func() { guess.refresh().refused(t, http.StatusUnauthorized, "session-ended") }); len(events) != 0 {
			t.Errorf("%.20q: told %s", token, types(events))
		}
	}
	twice := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "nw_refresh", Value: good}) }
	ann.do(http.MethodPost, "/api/v1/auth/refresh", nil, twice).refused(t, http.StatusUnauthorized, "session-ended")
	ann.cookie = good
	ann.refresh().require(t, http.StatusOK)
}

func TestSessionsEndByAgeAndByIdleness(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.signUp("Ann"), w.signUp("Bob")
	for range 4 {
		w.clock.move(7 * 24 * time.Hour)
		ann.refresh().require(t, http.StatusOK)
	}
	bob.refresh().refused(t, http.StatusUnauthorized, "session-ended")
	w.clock.move(3 * 24 * time.Hour)
	ann.refresh().refused(t, http.StatusUnauthorized, "session-ended")
}

func TestAPageOfAnotherOriginCanNotUseTheCookie(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, route := range []string{"register", "login", "refresh", "logout"} {
		for _, foreign := range []func(*http.Request){
			header("Origin", "https://evil.example"), header("Origin", "null"), header("Origin", "http://localhost:8081"), header("Origin", "http://acme.localhost:8080"),
			header("Origin", "file://localhost:8080"), header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site"),
		} {
			ann.do(http.MethodPost, "/api/v1/auth/"+route, map[string]string{}, foreign).refused(t, http.StatusForbidden, "cross-origin")
		}
	}
	ann.signedIn(ann.do(http.MethodPost, "/api/v1/auth/refresh", nil, header("Origin", "http://localhost:8080"))).require(t, http.StatusOK)
}

func TestTheCookieOfOneWorkspaceIsNothingInAnother(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.apply("acme")
	ann := w.signUp("Ann")
	there := *ann
	there.host = "acme.localhost:8080"
	there.refresh().refused(t, http.StatusUnauthorized, "session-ended")
	there.cookie = ann.cookie
	there.post("/api/v1/auth/logout", nil).require(t, http.StatusNoContent)
	ann.refresh().require(t, http.StatusOK)
}

func TestAHundredSignUpsOfOneAddress(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	replicas := []*server.Server{w.server, w.start(w.cfg)}
	const racers = 100
	answers := make([]*answer, racers)
	var all sync.WaitGroup
	events := w.since(func() {
		for i := range racers {
			b := w.browser("default")
			b.addr = replicas[i%2].HTTPAddr()
			all.Go(func() { answers[i] = b.register("Ann") })
		}
		all.Wait()
	})
	won := 0
	for _, a := range answers {
		if a.status == http.StatusCreated {
			won++
			continue
		}
		a.refused(t, http.StatusConflict, "email-taken")
	}
	if won != 1 {
		t.Errorf("%d sign-ups won", won)
	}
	requireTypes(t, events, "user.v1.UserRegistered")
	w.requireQuiet()
}

func TestCredentialsAreRateLimited(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{"email": "ann@example.org", "password": "the owl of athena"}
	t.Run("by account", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, func(c *server.Config) { c.AccountPerMinute, c.AccountBurst = 1, 3 })
		w.signUp("Ann") // the first of the three
		b := w.browser("default")
		for range 2 {
			b.post("/api/v1/auth/login", wrong).refused(t, http.StatusUnauthorized, "wrong-credentials")
		}
		a := b.login(" Ann@example.org", password).refused(t, http.StatusTooManyRequests, "rate-limited")
		if a.header.Get("Retry-After") == "" {
			t.Error("nothing says when to try again")
		}
		w.signUp("Bob") // is another account
		w.clock.move(time.Minute)
		b.login("ann@example.org", password).require(t, http.StatusOK)
	})
	t.Run("by address", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, trusting("127.0.0.0/8"), func(c *server.Config) { c.AddressPerMinute, c.AddressBurst = 1, 3 })
		from := func(addr string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("X-Forwarded-For", "9.9.9.9, "+addr) }
		}
		b := w.browser("default")
		try := func(addr string) *answer { return b.do(http.MethodPost, "/api/v1/auth/login", wrong, from(addr)) }
		for range 3 {
			try("198.51.100.7").refused(t, http.StatusUnauthorized, "wrong-credentials")
		}
		try("198.51.100.7").refused(t, http.StatusTooManyRequests, "rate-limited")
		try("198.51.100.8").refused(t, http.StatusUnauthorized, "wrong-credentials")
		for i := range 3 { // the addresses of one IPv6 network are one
			try("2001:db8::"+string(rune('1'+i))).refused(t, http.StatusUnauthorized, "wrong-credentials")
		}
		try("2001:db8::9").refused(t, http.StatusTooManyRequests, "rate-limited")
	})
	t.Run("a forged address counts for nothing", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, func(c *server.Config) { c.AddressPerMinute, c.AddressBurst = 1, 1 })
		b := w.browser("default")
		forged := func(r *http.Request) {
			for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"} {
				r.Header.Set(name, "203.0.113.77")
			}
		}
		b.post("/api/v1/auth/login", wrong).refused(t, http.StatusUnauthorized, "wrong-credentials")
		b.do(http.MethodPost, "/api/v1/auth/login", wrong, forged).refused(t, http.StatusTooManyRequests, "rate-limited")
	})
}
