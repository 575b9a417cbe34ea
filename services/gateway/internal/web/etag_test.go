package web_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/web"
)

// siteOf serves files that are all of the Unix epoch, as those of an image are.
func siteOf(t *testing.T, files map[string]string) *web.Site {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := web.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAnUpdateOfTheSameSizeAndTimeIsSeen(t *testing.T) {
	t.Parallel()
	before := siteOf(t, map[string]string{"sw.js": "['app-1a']", "sw.js.br": "br-1a", "assets/app-1a.js": "one"})
	after := siteOf(t, map[string]string{"sw.js": "['app-2b']", "sw.js.br": "br-2b", "assets/app-2b.js": "two"})
	for accept, want := range map[string]string{"": "['app-2b']", "br": "br-2b"} {
		had := get(before, "/sw.js", http.Header{"Accept-Encoding": {accept}}).Header
		res := get(after, "/sw.js", http.Header{"Accept-Encoding": {accept}, "If-None-Match": {had.Get("Etag")}})
		if body := bodyOf(t, res); res.StatusCode != http.StatusOK || body != want {
			t.Errorf("with %q: %d %q", accept, res.StatusCode, body)
		}
		if had.Get("Last-Modified") != "" {
			t.Errorf("with %q it is said to be of %s", accept, had.Get("Last-Modified"))
		}
	}
	if plain, br := get(before, "/sw.js", nil).Header.Get("Etag"), get(before, "/sw.js", http.Header{"Accept-Encoding": {"br"}}).Header.Get("Etag"); plain == br {
		t.Errorf("two encodings share the tag %s", plain)
	}
}
