package proxy_test

import (
	"strings"
	"testing"

	"noteworks.dev/services/gateway/internal/proxy"
)

func TestUpstreams(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]proxy.Upstream{
		"/api/v1/auth/login": proxy.User, "/api/v1/me": proxy.User, "/api/v1/users": proxy.User, "/api/v1/users/1/deactivate": proxy.User,
		"/api/v1/workspace": proxy.User, "/api/v1/notes": proxy.Note, "/api/v1/notes/1/shares/2": proxy.Note, "/api/v1/tags": proxy.Note,
		"/api/v1/invitations": proxy.User, "/api/v1/invitations/1": proxy.User,
		"/api/v1/live": proxy.None, "/api/v1/mess": proxy.None, "/api/v1": proxy.None, "/api/v1/tagsx": proxy.None, "/": proxy.None, "": proxy.None,
	} {
		if got := proxy.UpstreamOf(target); got != want {
			t.Errorf("%s goes to %s, not %s", target, got, want)
		}
	}
}

func TestNamesOfRoutesAreNobodysToInvent(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/api/v1/notes/x/anything":                      "/api/v1/notes/{id}/{}",
		"/api/v1/invitations/x":                         "/api/v1/invitations/{invitationId}",
		"/api/v1/users/x/y/z/1/2/3/4/5":                 "/api/v1/users/{userId}/{}/{}/{}",
		"/api/v1/notes/shares/shares/shares":            "/api/v1/notes/{id}/shares/{userId}",
		"/api/v1/auth/" + strings.Repeat("a", 100):      "/api/v1/auth/{}",
		"/api/v1/notes/x/revisions/7/restore":           "/api/v1/notes/{id}/revisions/{version}/restore",
		"/api/v1/notes/x/revisions/7/restore/x/y/z/a/b": "/api/v1/notes/{id}/revisions/{version}/restore",
	} {
		if got := proxy.Template(target); got != want {
			t.Errorf("%s is named %s, not %s", target, got, want)
		}
	}
}
