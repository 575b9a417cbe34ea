package server_test

import (
	"net/http"
	"testing"
)

func TestSomeoneSignsUpAndIsThere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("default")
	var a *answer
	events := w.since(func() { a = ann.register("Ann").require(t, http.StatusCreated) })

	requireTypes(t, events, "user.v1.UserRegistered")
	if d := events[0].Data; d["userId"] != ann.user.ID || d["name"] != "Ann" || d["role"] != "member" || d["version"] != 1.0 {
		t.Errorf("told %v", d)
	}
	if ann.user.Email != "ann@example.org" || ann.user.Role != "member" || !ann.user.Active {
		t.Errorf("answered %s", a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer with the token may be cached")
	}
	var me user
	ann.get("/api/v1/me").require(t, http.StatusOK).decode(t, &me)
	if me != ann.user {
		t.Errorf("me is %+v, want %+v", me, ann.user)
	}
	w.requireQuiet()
}
