package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/user/server"
)

type invitation struct {
	ID, Email, Code      string
	CreatedAt, ExpiresAt time.Time
}

type invitationList struct {
	Items      []invitation
	NextCursor *string
}

func (b *browser) invite(email string) invitation {
	b.w.t.Helper()
	var made invitation
	b.post("/api/v1/invitations", map[string]string{"email": email}).require(b.w.t, http.StatusCreated).decode(b.w.t, &made)
	return made
}

func (b *browser) invitations(query string) invitationList {
	b.w.t.Helper()
	var l invitationList
	b.get("/api/v1/invitations"+query).require(b.w.t, http.StatusOK).decode(b.w.t, &l)
	return l
}

// join signs up with a code, "" being none.
func (b *browser) join(email, code string) *answer {
	b.w.t.Helper()
	body := map[string]string{"email": email, "name": "Somebody", "password": password}
	if code != "" {
		body["invitation"] = code
	}
	return b.signedIn(b.post("/api/v1/auth/register", body))
}

func TestWhoMaySignUp(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	domains := []string{"example.org"}
	w.applyWith("open", &workspacev1.Policy{EmailDomains: domains})
	w.applyWith("invited", &workspacev1.Policy{SignUp: workspacev1.SignUp_SIGN_UP_INVITATION, EmailDomains: domains})
	shut := w.applyWith("shut", nil)
	codes := map[string]string{}
	for _, slug := range []string{"open", "invited", "shut"} {
		codes[slug] = w.owner(slug).invite("ann@example.com").Code
	}
	shut.Policy = &workspacev1.Policy{SignUp: workspacev1.SignUp_SIGN_UP_CLOSED}
	w.mustApply(shut)

	for _, c := range []struct{ slug, email, code, refused string }{
		{"open", "ann@example.com", "", "email-domain-not-allowed"},
		{"open", "ann@sub.example.org", "", "email-domain-not-allowed"},
		{"open", "ann@notexample.org", "", "email-domain-not-allowed"},
		{"open", "ann@example.org.evil.example", "", "email-domain-not-allowed"},
		{"open", "bob@example.org", "x", "invitation-invalid"},
		{"open", "bob@Example.ORG", "", ""},
		{"open", "ann@example.com", " " + codes["open"] + "\n", ""},
		{"invited", "bob@example.org", "", "invitation-needed"},
		{"invited", ownerEmail("invited"), "", "invitation-needed"}, // who is in is nobody's business
		{"invited", "bob@example.org", codes["invited"], "invitation-invalid"},
		{"invited", "ann@example.com", codes["open"], "invitation-invalid"},
		{"invited", "ann@example.com", strings.ToUpper(codes["invited"]), "invitation-invalid"},
		{"invited", "ann@example.com", strings.Repeat("A", 5000), "invitation-invalid"},
		{"invited", "ann@example.com", codes["invited"], ""},
		{"invited", "ann@example.com", codes["invited"], "invitation-invalid"}, // used
		{"shut", "bob@example.org", "", "sign-up-closed"},
		{"shut", "ann@example.com", codes["shut"], "sign-up-closed"},
	} {
		a := w.browser(c.slug).join(c.email, c.code)
		a.what = fmt.Sprintf("%s at %s with %.10q", c.email, c.slug, c.code)
		if c.refused == "" {
			a.require(t, http.StatusCreated)
			continue
		}
		var p struct{ Detail string }
		a.refused(t, http.StatusForbidden, c.refused).decode(t, &p)
		if len(a.cookies()) != 0 || !strings.Contains(strings.ToLower(p.Detail), "ask") {
			t.Errorf("%s: %d cookies, told %q", a.what, len(a.cookies()), p.Detail)
		}
	}
	w.owner("shut") // who is in stays in
	w.owner("shut").post("/api/v1/invitations", map[string]string{"email": "gus@example.org"}).refused(t, http.StatusForbidden, "sign-up-closed")
	w.requireQuiet()
}

func TestAnInvitationIsGoodForSevenDays(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.applyWith("acme", &workspacev1.Policy{SignUp: workspacev1.SignUp_SIGN_UP_INVITATION})
	owner := w.owner("acme")
	early, late := owner.invite("early@example.org"), owner.invite("late@example.org")
	if lasts := late.ExpiresAt.Sub(late.CreatedAt); lasts != 7*24*time.Hour {
		t.Errorf("it lasts %s", lasts)
	}
	w.clock.move(7*24*time.Hour - time.Minute)
	w.browser("acme").join("early@example.org", early.Code).require(t, http.StatusCreated)
	w.clock.move(2 * time.Minute)
	w.browser("acme").join("late@example.org", late.Code).refused(t, http.StatusForbidden, "invitation-invalid")
	owner = w.owner("acme") // the session has expired meanwhile, too
	if l := owner.invitations(""); len(l.Items) != 0 {
		t.Errorf("still open: %v", l.Items)
	}
	owner.invite("other@example.org")
	if n := w.db.Count(t, "select count(*) from invitations"); n != 1 {
		t.Errorf("%d are kept", n)
	}
}

func TestAnotherInvitationReplacesTheFirst(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.applyWith("acme", &workspacev1.Policy{SignUp: workspacev1.SignUp_SIGN_UP_INVITATION})
	owner := w.owner("acme")
	first, next := owner.invite("Ann@Example.org"), owner.invite(" ann@example.org")
	if raw, err := base64.RawURLEncoding.DecodeString(first.Code); err != nil || len(raw) < 16 || first.Code == next.Code || first.Email != "ann@example.org" {
		t.Errorf("invited %+v and %+v", first, next)
	}
	if l := owner.invitations(""); len(l.Items) != 1 || l.Items[0].ID != next.ID || l.Items[0].Code != "" {
		t.Errorf("open: %+v", l.Items)
	}
	w.browser("acme").join("ann@example.org", first.Code).refused(t, http.StatusForbidden, "invitation-invalid")
	w.browser("acme").join("ann@example.org", next.Code).require(t, http.StatusCreated)
	if l := owner.invitations(""); len(l.Items) != 0 {
		t.Errorf("open after it was used: %+v", l.Items)
	}
	owner.post("/api/v1/invitations", map[string]string{"email": "ANN@example.org"}).refused(t, http.StatusConflict, "already-member")
}

func TestWhoSignsUpWithoutTheirInvitationUsesItUp(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner := w.owner("default")
	owner.invite("ann@example.org")
	w.signUp("Ann")
	if l := owner.invitations(""); len(l.Items) != 0 {
		t.Errorf("open: %+v", l.Items)
	}
}

func TestAnInvitationTakenBackIsWorthNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner := w.owner("default")
	made := owner.invite("ann@example.org")
	at := "/api/v1/invitations/" + made.ID
	owner.do(http.MethodDelete, at, nil).require(t, http.StatusNoContent)
	owner.do(http.MethodDelete, at, nil).refused(t, http.StatusNotFound, "not-found")
	w.browser("default").join("ann@example.org", made.Code).refused(t, http.StatusForbidden, "invitation-invalid")
}

func TestOnlyTheOwnerInvites(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.apply("acme")
	owner, ann, stranger := w.owner("default"), w.signUp("Ann"), w.owner("acme")
	made := owner.invite("bob@example.org")
	at := "/api/v1/invitations/"
	before := w.rowVersions()
	for _, id := range []string{made.ID, newID(t)} { // a member does not learn which there are
		ann.do(http.MethodDelete, at+id, nil).refused(t, http.StatusForbidden, "owner-only")
	}
	ann.get("/api/v1/invitations").refused(t, http.StatusForbidden, "owner-only")
	ann.post("/api/v1/invitations", map[string]string{"email": "bob@example.org"}).refused(t, http.StatusForbidden, "owner-only")
	nobody := w.browser("default")
	nobody.get("/api/v1/invitations").refused(t, http.StatusUnauthorized, "unauthenticated")
	nobody.post("/api/v1/invitations", map[string]string{"email": "bob@example.org"}).refused(t, http.StatusUnauthorized, "unauthenticated")
	nobody.do(http.MethodDelete, at+made.ID, nil).refused(t, http.StatusUnauthorized, "unauthenticated")
	for _, b := range []*browser{stranger, {w: w, host: owner.host, addr: owner.addr, token: stranger.token}} {
		b.do(http.MethodDelete, at+made.ID, nil).refused(t, http.StatusNotFound, "not-found")
		if l := b.invitations(""); len(l.Items) != 0 {
			t.Errorf("a stranger sees %v", l.Items)
		}
	}
	for _, odd := range []string{strings.ToUpper(made.ID), strings.ReplaceAll(made.ID, "-", ""), "%00", "x", "..%2f" + made.ID, "'%20or%201=1--"} {
		owner.do(http.MethodDelete, at+odd, nil).refused(t, http.StatusNotFound, "not-found")
	}
	for _, odd := range []string{"", "bob", "bob@@example.org", strings.Repeat("a", 250) + "@example.org", "bob@example.org\u202e"} {
		owner.post("/api/v1/invitations", map[string]string{"email": odd}).refused(t, http.StatusBadRequest, "invalid-email")
	}
	owner.do(http.MethodPost, "/api/v1/invitations", `{"email":"eve@example.org","role":"owner"}`).refused(t, http.StatusBadRequest, "unknown-field")
	owner.do(http.MethodPost, "/api/v1/invitations", `{"email":"eve@example.org","code":"mine"}`).refused(t, http.StatusBadRequest, "unknown-field")
	if w.rowVersions() != before {
		t.Error("something changed")
	}
	w.browser("acme").join("bob@example.org", made.Code).refused(t, http.StatusForbidden, "invitation-invalid")
	w.browser("default").join("bob@example.org", made.Code).require(t, http.StatusCreated)
	w.requireQuiet()
}

func TestPagesOfInvitations(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner := w.owner("default")
	for i := range 7 {
		owner.invite(fmt.Sprintf("p%d@example.org", i))
	}
	var seen []string
	query, pages := "?limit=3", 0
	for {
		l := owner.invitations(query)
		pages++
		for _, i := range l.Items {
			seen = append(seen, i.Email[:2])
		}
		if l.NextCursor == nil {
			break
		}
		query = "?limit=3&cursor=" + *l.NextCursor
	}
	if got := strings.Join(seen, ","); got != "p6,p5,p4,p3,p2,p1,p0" || pages != 3 {
		t.Errorf("%s on %d pages", got, pages)
	}
	cursor := *owner.invitations("?limit=3").NextCursor
	w.apply("acme")
	w.owner("acme").get("/api/v1/invitations?cursor="+cursor).refused(t, http.StatusBadRequest, "invalid-cursor")
	owner.get("/api/v1/users?cursor="+cursor).refused(t, http.StatusBadRequest, "invalid-cursor")
	w.signUp("Ann")
	owner.get("/api/v1/invitations?cursor="+*owner.list(t, "?limit=1").NextCursor).refused(t, http.StatusBadRequest, "invalid-cursor")
	for query, code := range map[string]string{
		"?limit=0": "invalid-limit", "?limit=-1": "invalid-limit", "?limit=1000000000": "invalid-limit", "?limit=x": "invalid-limit",
		"?cursor=x": "invalid-cursor", "?limit=1&limit=2": "repeated-parameter",
	} {
		owner.get("/api/v1/invitations"+query).refused(t, http.StatusBadRequest, code)
	}
}

func TestACodeStandsNowhere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	var made invitation
	events := w.since(func() { made = w.owner("default").invite("bob@example.org") })
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
	for _, secret := range []string{made.Code, "bob@example.org"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("the log holds %.20q", secret)
		}
	}
	if n := w.db.Count(t, "select count(*) from invitations where position(convert_to($1, 'UTF8') in code_hash) > 0 or invitations::text like '%' || $1 || '%'", made.Code); n != 0 {
		t.Error("the database holds the code")
	}
}

func TestCodesAreNotGuessedFast(t *testing.T) {
	t.Parallel()
	w := startWorld(t, func(c *server.Config) { c.AccountPerMinute, c.AccountBurst = 1, 3 })
	w.owner("default").invite("ann@example.org")
	b := w.browser("default")
	for range 3 {
		b.join("ann@example.org", "guess").refused(t, http.StatusForbidden, "invitation-invalid")
	}
	b.join("ann@example.org", "guess").refused(t, http.StatusTooManyRequests, "rate-limited")
}

// TestOneInvitationIsUsedOnce, however many come with it at once, at two replicas.
func TestOneInvitationIsUsedOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.applyWith("acme", &workspacev1.Policy{SignUp: workspacev1.SignUp_SIGN_UP_INVITATION})
	replica := w.start(w.cfg)
	made := w.owner("acme").invite("ann@example.org")
	var in atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			b := w.browser("acme")
			if i%2 == 0 {
				b.addr = replica.HTTPAddr()
			}
			switch a := b.join("ann@example.org", made.Code); a.status {
			case http.StatusCreated:
				in.Add(1)
			default:
				a.refused(t, http.StatusForbidden, "invitation-invalid")
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("%d came in", in.Load())
	}
}

// TestTheMembersLimitIsExact at two replicas, too. The store's tests let a hundred in at once: their passwords would take longer than a request may.
func TestTheMembersLimitIsExact(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := w.applyWith("acme", &workspacev1.Policy{Limits: &workspacev1.Limits{Members: 4}})
	replica := w.start(w.cfg)
	var in atomic.Int32
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			b := w.browser("acme")
			if i%2 == 0 {
				b.addr = replica.HTTPAddr()
			}
			switch a := b.join(fmt.Sprintf("p%d@example.org", i), ""); a.status {
			case http.StatusCreated:
				in.Add(1)
			default:
				a.refused(t, http.StatusForbidden, "members-limit-reached")
			}
		})
	}
	all.Wait()
	if u := w.usage(m.GetWorkspaceId()); u.GetMembers() != 4 || in.Load() != 3 { // and the owner
		t.Errorf("%d came in; usage %v", in.Load(), u)
	}
	w.requireQuiet()
}

func TestAMembersLimitTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := w.applyWith("acme", &workspacev1.Policy{Limits: &workspacev1.Limits{Members: 3}})
	owner, ann, bob := w.owner("acme"), w.browser("acme"), w.browser("acme")
	ann.register("Ann").require(t, http.StatusCreated)
	bob.register("Bob").require(t, http.StatusCreated)
	at := "/api/v1/users/"
	owner.post(at+bob.user.ID+"/deactivate", nil).require(t, http.StatusNoContent)
	w.browser("acme").register("Cleo").require(t, http.StatusCreated) // in Bob's place
	invited := owner.invite("dora@example.org")                       // which makes no room
	w.browser("acme").join("dora@example.org", invited.Code).refused(t, http.StatusForbidden, "members-limit-reached")
	events := w.since(func() {
		owner.post(at+bob.user.ID+"/reactivate", nil).refused(t, http.StatusForbidden, "members-limit-reached")
		owner.post(at+ann.user.ID+"/reactivate", nil).require(t, http.StatusNoContent) // she is in
		ann.post(at+bob.user.ID+"/reactivate", nil).refused(t, http.StatusForbidden, "owner-only")
		owner.post(at+newID(t)+"/reactivate", nil).refused(t, http.StatusNotFound, "not-found")
	})
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
	m.Policy.Limits.Members = 1
	w.mustApply(m)
	ann.get("/api/v1/me").require(t, http.StatusOK)
	m.Policy.Limits.Members = 0
	w.mustApply(m)
	owner.post(at+bob.user.ID+"/reactivate", nil).require(t, http.StatusNoContent)
	w.browser("acme").join("dora@example.org", invited.Code).require(t, http.StatusCreated)
	w.requireQuiet()
}

func TestTheOwnerIsNeverRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.applyWith("acme", &workspacev1.Policy{
		SignUp: workspacev1.SignUp_SIGN_UP_CLOSED, EmailDomains: []string{"elsewhere.example"}, Limits: &workspacev1.Limits{Members: 1},
	})
	w.owner("acme").get("/api/v1/me").require(t, http.StatusOK)
}
