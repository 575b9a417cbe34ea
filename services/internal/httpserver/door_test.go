package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

func TestSpansAreNamedByRoute(t *testing.T) {
	t.Parallel()
	rec := spantest.New()
	tel, err := telemetry.New(t.Context(), "note", config.Map(nil), io.Discard, telemetry.WithSpanProcessor(rec))
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/notes/1/shares/2":
			httpserver.SetRoute(r, "/api/v1/notes/:id/shares/:userId")
		case "/panic":
			httpserver.SetRoute(r, "/panic")
			panic("boom")
		}
		_, span := tel.Tracer().Start(r.Context(), "inside")
		span.End()
		w.WriteHeader(http.StatusNoContent)
	})
	door := httpserver.Instrument(h, tel, nil, httpserver.PublicDoor())
	ask := func(method, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), method, path, nil)
		r.Header.Set("Traceparent", "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01")
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w
	}
	ask(http.MethodPut, "/api/v1/notes/1/shares/2")
	ask(http.MethodGet, "/wp-admin.php")
	ask("BREW", "/coffee")
	got := ask(http.MethodGet, "/panic")

	path := rec.RequirePath(t, "PUT /api/v1/notes/{id}/shares/{userId}", "inside")
	if path[0].SpanContext().TraceID().String() != "0102030405060708090a0b0c0d0e0f10" || spantest.Attribute(path[0], "http.route") != "/api/v1/notes/{id}/shares/{userId}" {
		t.Errorf("trace %s, route %q", path[0].SpanContext().TraceID(), spantest.Attribute(path[0], "http.route"))
	}
	rec.RequirePath(t, "GET", "inside")
	rec.RequirePath(t, "HTTP", "inside")
	panicked := rec.RequirePath(t, "GET /panic")
	if panicked[0].Status().Code != codes.Error || got.Code != 500 || !strings.Contains(got.Body.String(), `"traceId":"0102030405060708090a0b0c0d0e0f10"`) {
		t.Errorf("status %v, answer %d %s", panicked[0].Status(), got.Code, got.Body)
	}
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), `http_route="/api/v1/notes/{id}/shares/{userId}"`) || strings.Contains(w.Body.String(), "wp-admin") {
		t.Errorf("metrics by route, not by path:\n%s", w.Body)
	}
}

func TestAccessLogHasNoQuery(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	h := httpserver.AccessLog(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			httpserver.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}), tel)
	for _, path := range []string{"/notes?q=diary", "/missing?q=diary"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	got := log.String()
	if !strings.Contains(got, `"level":"DEBUG","msg":"request"`) || !strings.Contains(got, `"bytes":5`) || !strings.Contains(got, `"level":"INFO","msg":"request"`) || strings.Contains(got, "diary") {
		t.Errorf("got %s", got)
	}
}

func TestConditionalGET(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 4<<20+1)
	h := httpserver.ConditionalGET(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/own":
			w.Header().Set("ETag", `"7"`)
			w.Header().Set("Cache-Control", "public, max-age=60")
		case "/missing":
			httpserver.NotFound(w, r)
			return
		case "/big":
			_, _ = io.WriteString(w, big)
			return
		case "/created":
			w.WriteHeader(http.StatusCreated)
		case "/flushed":
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
	}))
	ask := func(method, path, match string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		if match != "" {
			r.Header.Set("If-None-Match", match)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	tag := ask("GET", "/list", "").Header().Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Fatalf("want a weak tag, got %q", tag)
	}
	tests := []struct {
		name, method, path, match string
		status                    int
		etag, cache               string
	}{
		{"first time", "GET", "/list", "", 200, tag, "private, no-cache"},
		{"the same again", "GET", "/list", tag, 304, tag, "private, no-cache"},
		{"in a list, compared weakly", "GET", "/list", `"x", ` + strings.TrimPrefix(tag, "W/"), 304, tag, "private, no-cache"},
		{"any", "GET", "/list", "*", 304, tag, "private, no-cache"},
		{"changed", "GET", "/other", tag, 200, "", "private, no-cache"},
		{"not a tag", "GET", "/list", "garbage", 200, tag, "private, no-cache"},
		{"a tag of its own", "GET", "/own", "", 200, `"7"`, "public, max-age=60"},
		{"which is known", "GET", "/own", `W/"7"`, 304, `"7"`, "public, max-age=60"},
		{"HEAD", "HEAD", "/list", tag, 304, tag, "private, no-cache"},
		{"a problem", "GET", "/missing", "*", 404, "", "no-store"},
		{"another success", "GET", "/created", "*", 201, "-", "private, no-cache"},
		{"too long to keep back", "GET", "/big", "*", 200, "-", "private, no-cache"},
		{"a stream", "GET", "/flushed", "*", 200, "-", "private, no-cache"},
		{"no GET", "POST", "/list", tag, 200, "-", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ask(tt.method, tt.path, tt.match)
			if w.Code != tt.status || w.Header().Get("Cache-Control") != tt.cache {
				t.Errorf("got %d, %q", w.Code, w.Header().Get("Cache-Control"))
			}
			if got := w.Header().Get("ETag"); tt.etag == "-" && got != "" || tt.etag != "-" && tt.etag != "" && got != tt.etag {
				t.Errorf("tag %q, want %q", got, tt.etag)
			}
			if w.Code == 304 && w.Body.Len() > 0 {
				t.Error("a 304 has no body")
			}
		})
	}
	if w := ask("GET", "/big", ""); w.Body.Len() != len(big) {
		t.Errorf("%d bytes of %d", w.Body.Len(), len(big))
	}
	if w := ask("GET", "/flushed", ""); w.Body.String() != `a{"path":"/flushed"}` || !w.Flushed {
		t.Errorf("got %q", w.Body)
	}
}

func TestOnlyPlainJSONBodies(t *testing.T) {
	t.Parallel()
	h := httpserver.JSONBody(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	tests := []struct {
		name   string
		body   string
		header http.Header
		status int
	}{
		{"JSON", "{}", http.Header{"Content-Type": {"application/json"}}, 204},
		{"with its charset", "{}", http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, 204},
		{"not compressed, expressly", "{}", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity"}}, 204},
		{"no body", "", http.Header{}, 204},
		{"no type", "{}", http.Header{}, 415},
		{"a form", "a=b", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415},
		{"text, which needs no preflight", "{}", http.Header{"Content-Type": {"text/plain"}}, 415},
		{"another charset", "{}", http.Header{"Content-Type": {"application/json; charset=utf-16"}}, 415},
		{"a cousin", "{}", http.Header{"Content-Type": {"application/merge-patch+json"}}, 415},
		{"two types", "{}", http.Header{"Content-Type": {"application/json", "text/plain"}}, 415},
		{"a broken type", "{}", http.Header{"Content-Type": {"application/json; ="}}, 415},
		{"gzip", "{}", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 415},
		{"gzip after identity", "{}", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "gzip"}}, 415},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(tt.body))
			r.Header = tt.header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestBindError(t *testing.T) {
	t.Parallel()
	known := errs.Invalid("unknown-field", "x").WithField("admin")
	tests := []struct {
		err         error
		code, field string
	}{
		{known, "unknown-field", "admin"},
		{fmt.Errorf("bind: %w", known), "unknown-field", "admin"},
		{fmt.Errorf("Invalid format for parameter limit: %w", errors.New("error binding string parameter: strconv.ParseInt: parsing \"x\"")), "invalid-limit", "limit"},
		{errors.New("Invalid format for parameter If-Match: parameter 'If-Match' is empty, can't bind its value"), "invalid-if-match", "If-Match"},
		{errors.New("Expected one value for Idempotency-Key, got 2"), "invalid-idempotency-key", "Idempotency-Key"},
		{errors.New("query parameter 'email' is required"), "invalid-email", "email"},
		{fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 10}), "body-too-large", ""},
		{errors.New("json: cannot unmarshal string into Go struct field"), "invalid-request", ""},
	}
	for _, tt := range tests {
		e := errs.As(httpserver.BindError(tt.err))
		if e.Code != tt.code || e.Field != tt.field || strings.Contains(e.Detail, "strconv") || strings.Contains(e.Detail, "Go ") {
			t.Errorf("%v: got %+v", tt.err, e)
		}
	}
	if httpserver.BindError(nil) != nil {
		t.Error("no error is no error")
	}
}

func TestRouterAnswers(t *testing.T) {
	t.Parallel()
	for status, h := range map[int]http.HandlerFunc{404: httpserver.NotFound, 405: httpserver.MethodNotAllowed} {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Code != status || !strings.Contains(w.Body.String(), `"code":`) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
}

func TestClientIPAndScheme(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name, remote string
		forwarded    []string
		proto        []string
		trusted      []netip.Prefix
		ip, scheme   string
	}{
		{"nobody is trusted by default", "10.0.0.1:1", []string{"1.2.3.4"}, []string{"https"}, nil, "10.0.0.1", "http"},
		{"a stranger says", "9.9.9.9:1", []string{"1.2.3.4"}, []string{"https"}, trusted, "9.9.9.9", "http"},
		{"a proxy says", "10.0.0.1:1", []string{"1.2.3.4"}, []string{"https"}, trusted, "1.2.3.4", "https"},
		{"a proxy adds to a lie", "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, nil, trusted, "1.2.3.4", "http"},
		{"two proxies", "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.2"}, nil, trusted, "1.2.3.4", "http"},
		{"in two headers", "10.0.0.1:1", []string{"6.6.6.6", "1.2.3.4"}, nil, trusted, "1.2.3.4", "http"},
		{"a proxy only", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, nil, trusted, "10.0.0.3", "http"},
		{"a proxy says nothing", "10.0.0.1:1", nil, nil, trusted, "10.0.0.1", "http"},
		{"garbage", "10.0.0.1:1", []string{"1.2.3.4, what"}, []string{"gopher"}, trusted, "10.0.0.1", "http"},
		{"two protocols", "10.0.0.1:1", nil, []string{"https", "http"}, trusted, "10.0.0.1", "http"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::1"}, nil, trusted, "2001:db8::1", "http"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:1.2.3.4"}, nil, trusted, "1.2.3.4", "http"},
		{"a socket without address", "@", nil, nil, trusted, "invalid IP", "http"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"] = tt.forwarded, tt.proto
			if got := httpserver.ClientIP(r, tt.trusted).String(); got != tt.ip {
				t.Errorf("address %s, want %s", got, tt.ip)
			}
			if got := httpserver.Scheme(r, tt.trusted); got != tt.scheme {
				t.Errorf("scheme %s, want %s", got, tt.scheme)
			}
		})
	}
}
