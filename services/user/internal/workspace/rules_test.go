package workspace_test

import (
	"strings"
	"testing"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/workspace"
)

func TestSlugs(t *testing.T) {
	t.Parallel()
	for given, code := range map[string]string{
		"default": "", "a": "", "team-7": "", "7": "", strings.Repeat("a", 63): "",
		"": "invalid-slug", strings.Repeat("a", 64): "invalid-slug", "-a": "invalid-slug", "a-": "invalid-slug", "A": "invalid-slug",
		"a.b": "invalid-slug", "a_b": "invalid-slug", "ä": "invalid-slug", "a b": "invalid-slug", "a\x00": "invalid-slug", " a": "invalid-slug",
		"*": "invalid-slug", ">": "invalid-slug", strings.Repeat("a", 253): "invalid-slug",
		"www": "slug-reserved", "api": "slug-reserved", "admin": "slug-reserved", "xn--bcher-kva": "slug-reserved",
	} {
		got, err := workspace.ParseSlug(given)
		if code == "" && (err != nil || string(got) != given) || code != "" && errs.CodeOf(err) != code {
			t.Errorf("ParseSlug(%q) = %q, %v; want %q", given, got, err, code)
		}
	}
}

func TestHostsLeadToSlugs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ host, base, want string }{
		{"localhost:8080", "localhost", "default"},
		{"localhost", "notes.example.org", "default"},
		{"127.0.0.1:8080", "localhost", "default"},
		{"[::1]:8080", "localhost", "default"},
		{"[::1]", "localhost", "default"},
		{"notes.example.org", "notes.example.org", "default"},
		{"Acme.Localhost:8080", "localhost", "acme"},
		{"acme.notes.example.org.", "notes.example.org", "acme"},
		{"acme.notes.example.org:443", "Notes.Example.org:443", "acme"},
		{"", "localhost", ""},
		{"10.0.0.7:8080", "localhost", ""},
		{"example.org", "localhost", ""},
		{"a.b.localhost", "localhost", ""},
		{".localhost", "localhost", ""},
		{"-a.localhost", "localhost", ""},
		{"acmelocalhost", "localhost", ""},
		{"acme.localhost.evil.example", "localhost", ""},
		{"acme_.localhost", "localhost", ""},
	} {
		got, ok := workspace.SlugOfHost(c.host, c.base)
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("SlugOfHost(%q, %q) = %q, %v; want %q", c.host, c.base, got, ok, c.want)
		}
	}
}
