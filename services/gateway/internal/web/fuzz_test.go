package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzPageRequest: a request leads to no file that it may not have, takes no encoding that it did not name, and no host ends the content security policy.
func FuzzPageRequest(f *testing.F) {
	f.Add("/index.html", "gzip, br;q=0", "text/html", "localhost:8080")
	f.Add("/../secret", "br;q=0.0", "*/*", "a; script-src *")
	f.Add("/.git/config", "", "", "[::1]:80")
	f.Add("/assets//x", "BR ; q = 0", "text/html,", "x'y")
	f.Add("/a\\b\x00", "gzip;;q=1", "text/html;q=0", "\xff")
	f.Fuzz(func(t *testing.T, path, encodings, accept, host string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.Host = path, host
		r.Header.Set("Accept", accept)
		if name, ok := fileName(r); ok && (!fs.ValidPath(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || strings.ContainsAny(name, "\x00\\")) {
			t.Fatalf("%q leads to %q", path, name)
		}
		for _, encoding := range []string{"br", "gzip"} {
			if accepts(encodings, encoding) && !strings.Contains(strings.ToLower(encodings), encoding) {
				t.Fatalf("%q is said to accept %s", encodings, encoding)
			}
		}
		if Navigates(r) && !strings.Contains(accept, "text/html") {
			t.Fatalf("%q navigates", accept)
		}
		if sources := sockets(host); sources != "" && (strings.ContainsAny(sources, ";,'\"*\r\n") || len(strings.Fields(sources)) != 2) {
			t.Fatalf("%q makes the sources %q", host, sources)
		}
	})
}
