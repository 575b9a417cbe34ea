package server_test

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/errs"
)

// mustApply applies m, which there is nothing to say against.
func (w *world) mustApply(m *workspacev1.ApplyWorkspaceRequest) *workspacev1.Workspace {
	w.t.Helper()
	applied, err := w.applyMessage(m)
	if err != nil {
		w.t.Fatalf("apply %s: %v", m.GetSlug(), err)
	}
	return applied
}

// applyWith makes a workspace of its own id that allows p.
func (w *world) applyWith(slug string, p *workspacev1.Policy) *workspacev1.ApplyWorkspaceRequest {
	w.t.Helper()
	m := wanted(newID(w.t), slug)
	m.Policy = p
	w.mustApply(m)
	return m
}

func fullPolicy() *workspacev1.Policy {
	return &workspacev1.Policy{
		SignUp: workspacev1.SignUp_SIGN_UP_INVITATION, EmailDomains: []string{"example.com", "example.org"}, Suspended: true,
		Limits:    &workspacev1.Limits{Members: 10, Notes: math.MaxInt32, Bytes: math.MaxInt64, RequestsPerMinute: 600},
		Retention: &workspacev1.Retention{TrashDays: 7, RevisionDays: 3650},
	}
}

// place is a workspace as its sign-in page knows it.
type place struct {
	ID, Slug, SignUp  string
	EmailDomains      []string
	Suspended         bool
	RequestsPerMinute int
}

func (b *browser) place() place {
	b.w.t.Helper()
	var p place
	b.get("/api/v1/workspace").require(b.w.t, http.StatusOK).decode(b.w.t, &p)
	return p
}

func TestAPolicyIsKeptEchoedAndTold(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := wanted(newID(t), "acme")
	m.Policy = fullPolicy()
	var first *workspacev1.Workspace
	events := w.since(func() { first = w.mustApply(m) })
	requireTypes(t, events, "workspace.v1.WorkspaceApplied user.v1.UserRegistered")
	told, ok := events[0].Data["policy"].(map[string]any)
	if !ok || told["signUp"] != "SIGN_UP_INVITATION" || told["suspended"] != true {
		t.Fatalf("told %v", events[0].Data)
	}
	if limits := told["limits"].(map[string]any); limits["members"] != 10.0 || limits["bytes"] != strconv.FormatInt(math.MaxInt64, 10) {
		t.Errorf("told the limits %v", limits)
	}
	if !proto.Equal(first.GetPolicy(), fullPolicy()) {
		t.Errorf("answered %v", first.GetPolicy())
	}

	before := w.rowVersions()
	m.Policy.EmailDomains = []string{"example.org", "example.com", "example.org"} // the same, told otherwise
	events = w.since(func() {
		if again := w.mustApply(m); !proto.Equal(again, first) {
			t.Errorf("again: answered %v", again)
		}
	})
	if len(events) != 0 || w.rowVersions() != before {
		t.Errorf("again: told %q", types(events))
	}
	here := w.browser("acme").place()
	if here.SignUp != "invitation" || !slices.Equal(here.EmailDomains, []string{"example.com", "example.org"}) || !here.Suspended || here.RequestsPerMinute != 600 {
		t.Errorf("the workspace says %+v", here)
	}

	m.Policy.Retention.TrashDays = 8
	events = w.since(func() { w.mustApply(m) })
	requireTypes(t, events, "workspace.v1.WorkspaceApplied")
	if events[0].Data["version"] != 2.0 {
		t.Errorf("told %v", events[0].Data)
	}
	m.Policy = nil
	if open := w.mustApply(m); open.GetPolicy().GetSignUp() != workspacev1.SignUp_SIGN_UP_OPEN || open.GetPolicy().GetLimits().GetMembers() != 0 {
		t.Errorf("without a policy it is %v", open.GetPolicy())
	}
	if here := w.browser("acme").place(); here.SignUp != "open" || here.EmailDomains != nil || here.Suspended || here.RequestsPerMinute != 0 {
		t.Errorf("the workspace says %+v", here)
	}
}

func TestOddPoliciesAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	domains := func(d ...string) func(*workspacev1.Policy) { return func(p *workspacev1.Policy) { p.EmailDomains = d } }
	many := make([]string, 0, 51)
	for i := range 51 {
		many = append(many, "d"+strconv.Itoa(i)+".example")
	}
	events := w.since(func() {
		for name, c := range map[string]struct {
			change func(*workspacev1.Policy)
			field  string
		}{
			"a way to sign up of another version": {func(p *workspacev1.Policy) { p.SignUp = 99 }, "policy.sign_up"},
			"a negative way to sign up":           {func(p *workspacev1.Policy) { p.SignUp = -1 }, "policy.sign_up"},
			"a domain with an at":                 {domains("@example.org"), "policy.email_domains"},
			"a domain in upper case":              {domains("Example.org"), "policy.email_domains"},
			"an empty domain":                     {domains(""), "policy.email_domains"},
			"a pattern":                           {domains("*.example.org"), "policy.email_domains"},
			"a domain with a final dot":           {domains("example.org."), "policy.email_domains"},
			"a domain with NUL":                   {domains("example.org\x00"), "policy.email_domains"},
			"a long domain":                       {domains(strings.Repeat("a.", 126) + "aa"), "policy.email_domains"},
			"a good one and a bad one":            {domains("example.org", "ex ample"), "policy.email_domains"},
			"51 domains":                          {domains(many...), "policy.email_domains"},
			"fewer than no members":               {func(p *workspacev1.Policy) { p.Limits.Members = -1 }, "policy.limits.members"},
			"fewer than no notes":                 {func(p *workspacev1.Policy) { p.Limits.Notes = math.MinInt32 }, "policy.limits.notes"},
			"less than no bytes":                  {func(p *workspacev1.Policy) { p.Limits.Bytes = math.MinInt64 }, "policy.limits.bytes"},
			"fewer than no requests":              {func(p *workspacev1.Policy) { p.Limits.RequestsPerMinute = -1 }, "policy.limits.requests_per_minute"},
			"a trash of the past":                 {func(p *workspacev1.Policy) { p.Retention.TrashDays = -1 }, "policy.retention.trash_days"},
			"a trash of eleven years":             {func(p *workspacev1.Policy) { p.Retention.TrashDays = 3651 }, "policy.retention.trash_days"},
			"revisions for ever":                  {func(p *workspacev1.Policy) { p.Retention.RevisionDays = math.MaxInt32 }, "policy.retention.revision_days"},
		} {
			m := wanted(newID(t), "acme")
			m.Policy = fullPolicy()
			c.change(m.GetPolicy())
			_, err := w.applyMessage(m)
			if errs.CodeOf(err) != "invalid-policy" || errs.As(err).Field != c.field || codeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("%s: %v; want invalid-policy of %s", name, err, c.field)
			}
		}
	})
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
	w.requireQuiet()
}

func TestAHostOfItsOwnLeadsToTheWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := wanted(newID(t), "acme")
	m.Host = "notes.acme.example"
	events := w.since(func() {
		if applied := w.mustApply(m); applied.GetHost() != m.GetHost() {
			t.Errorf("answered %v", applied)
		}
	})
	if events[0].Data["host"] != m.GetHost() {
		t.Errorf("told %v", events[0].Data)
	}
	at := func(host string) *browser {
		b := w.browser("acme")
		b.host = host
		return b
	}
	for _, host := range []string{"notes.acme.example", "Notes.ACME.example:8443", "notes.acme.example.", "acme.localhost:8080"} {
		b := at(host)
		if p := b.place(); p.ID != m.GetWorkspaceId() || p.Slug != "acme" {
			t.Errorf("%s leads to %+v", host, p)
		}
		b.login(ownerEmail("acme"), password).require(t, http.StatusOK)
	}
	for _, host := range []string{"acme.example", "x.notes.acme.example", "notes.acme.example.evil.example"} {
		at(host).get("/api/v1/workspace").refused(t, http.StatusNotFound, "workspace-not-found")
	}

	other := wanted(newID(t), "other")
	other.Host = m.GetHost()
	if _, err := w.applyMessage(other); errs.CodeOf(err) != "host-taken" || codeOf(err) != connect.CodeFailedPrecondition || errs.As(err).Field != "host" {
		t.Errorf("the second gets %v", err)
	}
	m.Host = ""
	w.mustApply(m)
	at("notes.acme.example").get("/api/v1/workspace").refused(t, http.StatusNotFound, "workspace-not-found")
	w.mustApply(other) // it is free
	if _, err := w.operator().DeleteWorkspace(t.Context(), deletion(other.GetWorkspaceId())); err != nil {
		t.Fatal(err)
	}
	at("notes.acme.example").get("/api/v1/workspace").refused(t, http.StatusNotFound, "workspace-not-found")
}

func TestOddHostsAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for host, code := range map[string]string{
		"acme": "invalid-host", "Acme.example": "invalid-host", "acme.example.": "invalid-host", "acme.example:443": "invalid-host", "10.0.0.7": "invalid-host",
		"https://acme.example": "invalid-host", "*.acme.example": "invalid-host", "-a.example": "invalid-host", "a..example": "invalid-host", "[::1]": "invalid-host",
		"acme.example\x00": "invalid-host", "ä.example": "invalid-host", " acme.example": "invalid-host", strings.Repeat("a.", 126) + "aa": "invalid-host",
		"default.localhost": "host-reserved", "a.b.localhost": "host-reserved",
	} {
		m := wanted(newID(t), "acme")
		m.Host = host
		_, err := w.applyMessage(m)
		if errs.CodeOf(err) != code || errs.As(err).Field != "host" || codeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%.40q: %v; want %s", host, err, code)
		}
	}
	w.requireQuiet()
}
