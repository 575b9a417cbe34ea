package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"noteworks.dev/services/gateway/internal/proxy"
)

// TestEveryRouteOfTheContractsIsServed reads both OpenAPI files: each path goes to its service under its own name.
func TestEveryRouteOfTheContractsIsServed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for file, service := range map[string]*upstream{"user.yaml": w.user, "note.yaml": w.note} {
		for _, template := range paths(t, file) {
			if template == "/api/v1/workspace" {
				continue // answered by the stand-in itself
			}
			before := service.count()
			path := strings.NewReplacer("{id}", here, "{userId}", there, "{version}", "3", "{invitationId}", there).Replace(template)
			if a := w.call(http.MethodGet, path+"?q=a%20b", nil, nil); a.status != 200 || a.body != "answered" {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			if got := service.last(t); service.count() != before+1 || got.uri != path+"?q=a%20b" || got.host != "localhost" {
				t.Errorf("%s reached its service as %+v", path, got)
			}
			if got := proxy.Template(path); got != template {
				t.Errorf("%s is named %s, not %s", path, got, template)
			}
			w.spans.RequirePath(t, "GET "+template, "GET "+template)
		}
	}
}

func paths(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile("../../api/openapi/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var all []string
	for path := range doc.Paths {
		all = append(all, path)
	}
	if len(all) < 8 {
		t.Fatalf("only %d paths in %s", len(all), file)
	}
	return all
}

func TestPathsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, target := range []string{
		"/api", "/api/", "/api/v1", "/api/v2/notes", "/api/v1/admin", "/api/v1/notesx", "/api/v1/me2", "/api/v1/authentic",
		"/api/v1/notes/../users", "/api/v1/notes/%2e%2e/users", "/api/v1/notes/..%2fusers", "/api/v1/notes/%2E%2E%2Fusers", "/api/v1/notes/./x",
		"/api/v1/notes//x", "/api//v1/notes", "/api/v1/notes/", "/api/v1/notes/%00", "/api/v1/notes/a%00b", "/%61pi/v1/notes", "/api/v1/%6eotes", "/api/v1/notes/a;b",
		"/api/v1/notes/a%5c..%5cusers", "/api/v1/notes/\\..\\users", "/api/v1/notes/*", "/api/v1/notes/>",
		"/workspace.v1.WorkspaceService/ApplyWorkspace", "/user.v1.DirectoryService/GetPerson", "/.well-known/jwks.json", "/metrics", "/livez", "/readyz",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := w.raw(method, target, "")
			if a.status != 404 && (a.status != 405 || strings.HasPrefix(target, "/api")) {
				t.Errorf("%s %s: %d %s", method, target, a.status, a.body)
			}
			if a.code == "" {
				t.Errorf("%s %s: no problem: %s", method, target, a.body)
			}
		}
	}
	if n := w.user.count() + w.note.count(); n != 0 {
		t.Errorf("%d requests reached a service", n)
	}
}

// raw sends a request line as it is.
func (w *world) raw(method, target, headers string) answer {
	w.t.Helper()
	conn, err := w.dial(context.Background(), "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, target, headers); err != nil {
		w.t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{body: string(text)}
	_, _ = fmt.Sscanf(a.body, "HTTP/1.1 %d", &a.status)
	if _, rest, ok := strings.Cut(a.body, `"code":"`); ok {
		a.code, _, _ = strings.Cut(rest, `"`)
	}
	return a
}

func TestRequestsThatAreTooMuch(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for name, c := range map[string]struct {
		method, target, headers string
		status                  int
		code                    string
	}{
		"8 kB path":        {"GET", "/api/v1/notes/" + strings.Repeat("a", 8<<10), "", 400, "path-too-long"},
		"8 kB page":        {"GET", "/" + strings.Repeat("a", 8<<10), "", 400, "path-too-long"},
		"9 kB query":       {"GET", "/api/v1/notes?q=" + strings.Repeat("a", 9<<10), "", 400, "path-too-long"},
		"oversized cookie": {"GET", "/api/v1/notes", "Cookie: nw_refresh=" + strings.Repeat("a", 33<<10) + "\r\n", 431, "headers-too-large"},
		"TRACE":            {"TRACE", "/api/v1/notes", "", 405, "method-not-allowed"},
		"CONNECT":          {"CONNECT", "/api/v1/notes", "", 405, "method-not-allowed"},
		"announced body":   {"POST", "/api/v1/notes", "Content-Length: 104857600\r\n", 413, "body-too-large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := w.raw(c.method, c.target, c.headers); a.status != c.status || a.code != c.code {
				t.Errorf("%d %q: %.300s", a.status, a.code, a.body)
			}
		})
	}
	t.Run("100 MB chunked", func(t *testing.T) {
		t.Parallel()
		body := io.LimitReader(rand.Reader, 100<<20)
		if a := w.call(http.MethodPost, "/api/v1/notes", nil, body); a.status != 413 || a.code != "body-too-large" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// A query is passed on as it came or not at all: a parameter that is left out means something else.
func TestAQueryThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, query := range []string{"permanently=%zz", "permanently=%", "permanently=true;x", "a=1&b=%f"} {
		if a := w.raw("DELETE", "/api/v1/notes/"+here+"?"+query, ""); a.status != http.StatusBadRequest || a.code != "invalid-query" {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if a := w.call(http.MethodGet, "/api/v1/notes?q=a%20b&tag=%C3%A4", nil, nil); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.note.last(t).uri; got != "/api/v1/notes?q=a%20b&tag=%C3%A4" {
		t.Errorf("the service was asked for %q", got)
	}
}

func TestBodiesThatAreTooLongDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for range 30 {
		if a := w.call(http.MethodPost, "/api/v1/notes", nil, io.LimitReader(rand.Reader, 3<<20)); a.code != "body-too-large" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := w.call(http.MethodGet, "/api/v1/notes", nil, nil); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWhatAStrangerSaysGoesNoFurther(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	forged := http.Header{
		"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Prefix": {"/x"}, "Forwarded": {"for=6.6.6.6"},
		"X-Real-Ip": {"6.6.6.6"}, "X-User-Id": {"root"}, "X-User-Role": {"owner"}, "X-Workspace-Id": {there}, "X_user_id": {"root"},
		"Baggage": {strings.Repeat("k=v,", 2000) + "z=1"}, "Tracestate": {"evil=1"}, "X-Http-Method-Override": {"DELETE"}, "X-Method-Override": {"DELETE"},
		"X-Original-Url": {"/api/v1/users"}, "Connection": {"X-Secret, keep-alive"}, "X-Secret": {"hop"}, "Te": {"trailers"}, "Proxy-Authorization": {"Basic x"},
		"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "Accept": {"application/json"}, "If-Match": {`"3"`}, "Cookie": {"nw_refresh=r"},
	}
	a := w.call(http.MethodPatch, "/api/v1/notes/"+here, forged, strings.NewReader(`{"title":"x"}`))
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	got := w.note.last(t)
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "localhost",
		"X-Forwarded-Prefix": "", "Forwarded": "", "X-Real-Ip": "", "X-User-Id": "", "X-User-Role": "", "X-Workspace-Id": "", "X_user_id": "", "Baggage": "", "Tracestate": "",
		"X-Http-Method-Override": "", "X-Method-Override": "", "X-Original-Url": "", "X-Secret": "", "Proxy-Authorization": "",
		"Accept": "application/json", "If-Match": `"3"`, "Cookie": "nw_refresh=r",
	} {
		if v := strings.Join(got.header[name], "|"); v != want {
			t.Errorf("%s reached the service as %q, not %q", name, v, want)
		}
	}
	if got.method != http.MethodPatch || got.body != `{"title":"x"}` {
		t.Errorf("%+v", got)
	}
	parent := got.header.Get("Traceparent")
	if !strings.HasPrefix(parent, "00-4bf92f3577b34da6a3ce929d0e0e4736-") || strings.Contains(parent, "00f067aa0ba902b7") {
		t.Errorf("the trace went on as %q", parent)
	}
	w.spans.RequirePath(t, "PATCH /api/v1/notes/{id}", "PATCH /api/v1/notes/{id}")
}

func TestATrustedProxyMaySayWhoItForwardsFor(t *testing.T) {
	t.Parallel()
	w := startWorld(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	a := w.call(http.MethodGet, "/api/v1/notes", http.Header{"X-Forwarded-For": {"6.6.6.6, 203.0.113.9"}, "X-Forwarded-Proto": {"https"}}, nil)
	got := w.note.last(t).header
	if got.Get("X-Forwarded-For") != "203.0.113.9" || got.Get("X-Forwarded-Proto") != "https" || a.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v, %v", got, a.header)
	}
}

func TestNothingIsUpgradedButTheLiveSocket(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	a := w.raw("GET", "/api/v1/notes", "Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	if a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.note.last(t).header; got.Get("Upgrade") != "" {
		t.Errorf("%v", got)
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for target, header := range map[string]http.Header{
		"/":              {"Accept": {"text/html"}},
		"/missing.js":    {},
		"/api/v1/notes":  {},
		"/api/v1/nope":   {},
		"/api/v1/live":   {},
		"/sign-in":       {"Accept": {"text/html"}, "Host": {"nowhere.localhost"}},
		"/api/v1/me":     {"Host": {"nowhere.localhost"}},
		"/api/v1/notes/": {"X": {strings.Repeat("x", 100)}},
	} {
		a := w.call(http.MethodGet, target, header, nil)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q", target, name, got)
			}
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || a.header.Get("X-Powered-By") != "" {
			t.Errorf("%s: %v", target, a.header)
		}
	}
}

func TestAServiceThatIsAwayIsA503AtOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.call(http.MethodGet, "/api/v1/notes", nil, nil)
	w.note.srv.Close()
	var took []time.Duration
	for i := range 30 {
		begin := time.Now()
		a := w.call(http.MethodGet, "/api/v1/notes", nil, nil)
		took = append(took, time.Since(begin))
		if a.status != 503 || a.header.Get("Retry-After") == "" || a.code != "upstream-unavailable" {
			t.Fatalf("%d: %d %s", i, a.status, a.body)
		}
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 300*time.Millisecond { // single ones may be the machine's fault
		t.Errorf("answered after %v", median)
	}
	if a := w.call(http.MethodGet, "/api/v1/users", nil, nil); a.status != 200 {
		t.Errorf("the other service: %d %s", a.status, a.body)
	}
	if log := w.log.String(); strings.Contains(log, `"ERROR"`) {
		t.Errorf("log: %s", log)
	}
}

func TestAServiceThatHangsIsA504(t *testing.T) {
	t.Parallel()
	w := startWorld(t, func(c *Config) { c.RequestTimeout = 300 * time.Millisecond })
	left := make(chan struct{})
	w.note.handle("/api/v1/notes", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(left)
	})
	a := w.call(http.MethodGet, "/api/v1/notes", nil, nil)
	if a.status != 504 || a.code != "timeout" {
		t.Errorf("%d %s", a.status, a.body)
	}
	<-left
}

func TestAClientThatLeavesTakesItsRequestAlong(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	arrived, left := make(chan struct{}), make(chan struct{})
	w.note.handle("/api/v1/notes", func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	begin := time.Now()
	w.callWithin(ctx, http.MethodGet, "/api/v1/notes", nil, nil)
	<-left
	if took := time.Since(begin); took > 3*time.Second { // 1 s, and a busy machine
		t.Errorf("after %v", took)
	}
}

func TestABodyThatBreaksOffIsTheClientsFault(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	conn, err := w.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Write([]byte("POST /api/v1/notes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	text, _ := io.ReadAll(conn)
	_ = conn.Close()
	if !strings.HasPrefix(string(text), "HTTP/1.1 400") {
		t.Errorf("%s", text)
	}
	if a := w.call(http.MethodGet, "/api/v1/notes", nil, nil); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
