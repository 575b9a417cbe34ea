package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"noteworks.dev/services/gateway/internal/web"
)

const app = `<!doctype html><meta name="csp-nonce" content="__CSP_NONCE__"><script nonce="__CSP_NONCE__" src="/assets/app-1a2b.js"></script>`

func startSite(t *testing.T) *web.Site {
	t.Helper()
	outside := t.TempDir()
	dir := filepath.Join(outside, "web")
	files := map[string]string{
		"index.html": app, "assets/app-1a2b.js": "plain js", "assets/app-1a2b.js.br": "brotli js", "assets/app-1a2b.js.gz": "gzip js",
		"assets/style-3c.css": "css", "sw.js": "worker", "favicon.svg": "<svg/>", "manifest.webmanifest": "{}", ".env": "SECRET", "deep/.git/config": "SECRET",
		"../secret.txt": "SECRET",
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "secret.txt"), filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	s, err := web.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func get(h http.Handler, target string, header http.Header) *http.Response {
	return do(h, http.MethodGet, target, header)
}

func do(h http.Handler, method, target string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	r.RequestURI = target
	if u, err := url.ParseRequestURI(target); err == nil { // as net/http does
		r.URL = u
	}
	r.Host = "team.localhost:8080"
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	var b strings.Builder
	buf := make([]byte, 1<<16)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func html() http.Header { return http.Header{"Accept": {"text/html,application/xhtml+xml"}} }

func TestFiles(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for name, c := range map[string]struct {
		target, accept  string
		status          int
		body, kind      string
		caching, coding string
	}{
		"hashed":                 {"/assets/app-1a2b.js", "", 200, "plain js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", ""},
		"hashed, brotli":         {"/assets/app-1a2b.js", "gzip, deflate, br", 200, "brotli js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "br"},
		"hashed, gzip":           {"/assets/app-1a2b.js", "gzip", 200, "gzip js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "gzip"},
		"hashed, brotli refused": {"/assets/app-1a2b.js", "br;q=0, gzip;q=0.5", 200, "gzip js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "gzip"},
		"not precompressed":      {"/assets/style-3c.css", "br", 200, "css", "text/css; charset=utf-8", "public, max-age=31536000, immutable", ""},
		"service worker":         {"/sw.js", "", 200, "worker", "text/javascript; charset=utf-8", "no-cache", ""},
		"icon":                   {"/favicon.svg", "", 200, "<svg/>", "image/svg+xml", "no-cache", ""},
		"manifest":               {"/manifest.webmanifest", "", 200, "{}", "application/manifest+json", "no-cache", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := get(s, c.target, http.Header{"Accept-Encoding": {c.accept}})
			h := res.Header
			if body := bodyOf(t, res); res.StatusCode != c.status || body != c.body || h.Get("Content-Type") != c.kind ||
				h.Get("Cache-Control") != c.caching || h.Get("Content-Encoding") != c.coding || h.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%d %q %v", res.StatusCode, body, h)
			}
			if again := get(s, c.target, http.Header{"Accept-Encoding": {c.accept}, "If-None-Match": {h.Get("Etag")}}); again.StatusCode != 304 {
				t.Errorf("asked again: %d", again.StatusCode)
			}
		})
	}
}

func TestPathsThatAreNoFile(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for _, target := range []string{
		"/assets/", "/assets", "/assets/app-old.js", "/missing.js", "/.env", "/deep/.git/config", "/deep/", "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt",
		"/link.txt", "/assets/..%2f.env", "/%00", "/a%00.js", "/a%5c..%5csecret.txt", "//evil.example", "/a//b", "/./index.html",
	} {
		for _, h := range []http.Header{{}, html()} {
			res := get(s, target, h)
			if body := bodyOf(t, res); res.StatusCode != http.StatusNotFound && !strings.Contains(body, "csp-nonce") || strings.Contains(body, "SECRET") {
				t.Errorf("%s: %d %q", target, res.StatusCode, body)
			}
		}
		if res := get(s, target, http.Header{}); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s without asking for a page: %d", target, res.StatusCode)
		}
	}
}

func TestPeopleGetTheAppWhereverTheyGo(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for _, target := range []string{"/", "/index.html", "/notes/0190", "/sign-in", "/sign-in/", "/notes?q=x"} {
		res := get(s, target, html())
		if body := bodyOf(t, res); res.StatusCode != 200 || !strings.Contains(body, "csp-nonce") {
			t.Errorf("%s: %d %q", target, res.StatusCode, body)
		}
	}
	if res := get(s, "/notes/0190", http.Header{"Accept": {"application/json"}}); res.StatusCode != 404 {
		t.Errorf("not a person: %d", res.StatusCode)
	}
	if res := do(s, http.MethodPost, "/", nil); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", res.StatusCode)
	}
	if res := do(s, http.MethodHead, "/", html()); res.StatusCode != 200 || bodyOf(t, res) != "" {
		t.Errorf("HEAD: %d", res.StatusCode)
	}
}

func TestEachCopyOfTheAppHasItsOwnNonce(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	nonceIn := regexp.MustCompile(`content="([A-Z0-9]{26})"`)
	seen := map[string]bool{}
	for range 3 {
		res := get(s, "/", html())
		body, policy := bodyOf(t, res), res.Header.Get("Content-Security-Policy")
		found := nonceIn.FindStringSubmatch(body)
		if found == nil || seen[found[1]] || strings.Contains(body, "__CSP_NONCE__") {
			t.Fatalf("body %q", body)
		}
		seen[found[1]] = true
		for _, want := range []string{
			"default-src 'none'", "script-src 'self' 'nonce-" + found[1] + "'", "style-src 'self' 'nonce-" + found[1] + "'", "frame-ancestors 'none'", "base-uri 'none'",
			"connect-src 'self' ws://team.localhost:8080 wss://team.localhost:8080",
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("no %s in %s", want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || res.Header.Get("Etag") != "" || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%v", res.Header)
		}
	}
}

func TestAHostCannotEndThePolicy(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "x;script-src *"
	web.Nowhere(w, r)
	if policy := w.Header().Get("Content-Security-Policy"); strings.Contains(policy, "*") {
		t.Error(policy)
	}
}

func TestNowhereSaysSo(t *testing.T) {
	t.Parallel()
	res := get(http.HandlerFunc(web.Nowhere), "/", html())
	body := bodyOf(t, res)
	if res.StatusCode != 404 || !strings.HasPrefix(body, "<!doctype html>") || !strings.Contains(body, "There is no workspace at this address") ||
		strings.Contains(body, "__") || !strings.Contains(body, "prefers-color-scheme: dark") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestSuspendedSaysSoAndThatNothingIsLost(t *testing.T) {
	t.Parallel()
	res := get(http.HandlerFunc(web.Suspended), "/notes/1", html())
	body := bodyOf(t, res)
	if res.StatusCode != 503 || !strings.Contains(body, "<h1>This workspace is suspended</h1>") || !strings.Contains(body, "Nothing is lost") ||
		strings.Contains(body, "__") || !strings.Contains(body, "prefers-color-scheme: dark") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res.Header.Get("Retry-After") != "60" || res.Header.Get("Refresh") != "60" || res.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v", res.Header)
	}
}

func TestWithoutADirectoryThereIsNoApp(t *testing.T) {
	t.Parallel()
	s, err := web.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if res := get(s, "/", html()); res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
	if _, err := web.Open(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a directory that does not exist was accepted")
	}
	empty, err := web.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = empty.Close() }()
	if res := get(empty, "/", html()); res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
}
