package proxy

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// FuzzPath: a plain path means the same to everyone who cleans or unescapes it, and its template repeats nothing that a stranger made up.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/api/v1/notes", "/api/v1/notes/0190a5b4-0000-7000-8000-000000000001/shares/x", "/api/v1/../me", "/api/v1/notes//", "/api/v1/notes/%2e%2e", "/api/v1/notes/a%00b",
		"//api/v1/me", "/api/v1/me;a=b", "/api\\v1", "/api/v1/notes/\xff", "", "/", "/.", "/api/v1/notes?x", "/a/b/c/d/e/f/g/h/i",
	} {
		f.Add(seed)
	}
	known := map[string]bool{"{}": true}
	for _, segment := range strings.Split("{id}/{userId}/{version}/{invitationId}/shares/revisions/restore/pin/archive/deactivate/reactivate/register/login/refresh/logout", "/") {
		known[segment] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !PlainPath(text) {
			return
		}
		if clean := path.Clean(text); clean != text {
			t.Fatalf("%q is %q to others", text, clean)
		}
		if plain, err := url.PathUnescape(text); err != nil || plain != text {
			t.Fatalf("%q is %q to others, %v", text, plain, err)
		}
		if u, err := url.ParseRequestURI(text); err != nil || u.Path != text || u.EscapedPath() != text {
			t.Fatalf("%q is %+v to net/url, %v", text, u, err)
		}
		segments := strings.Split(Template(text), "/")
		for i, segment := range segments {
			if i >= 4 && !known[segment] || i >= 8 {
				t.Fatalf("the template of %q is %q", text, segments)
			}
		}
	})
}
