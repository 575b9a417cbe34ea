package problem_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

// answer is what came of writing err, and what was logged meanwhile.
type answer struct {
	*httptest.ResponseRecorder
	members map[string]any
	log     string
}

func write(t *testing.T, ctx context.Context, err error) answer {
	t.Helper()
	var log bytes.Buffer
	ctx = telemetry.WithLog(ctx, slog.New(slog.NewJSONHandler(&log, nil)))
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/notes/1?q=secret", nil)
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	problem.Write(a, r, err)
	if failed := json.Unmarshal(a.Body.Bytes(), &a.members); failed != nil {
		t.Fatalf("%v in %q", failed, a.Body)
	}
	a.log = log.String()
	return a
}

func TestWriteAnswersEachKind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err    error
		status int
		code   string
		level  string
	}{
		{errs.Invalid("bad-tag", "A tag is too long.").WithField("tags[3]"), 400, "bad-tag", ""},
		{errs.Unauthenticated("token-expired", "x"), 401, "token-expired", ""},
		{errs.NotFound("not-found", "x"), 404, "not-found", ""},
		{errs.Stale("stale", "x"), 412, "stale", ""},
		{errs.PreconditionRequired("if-match-required", "x"), 428, "if-match-required", ""},
		{errs.RateLimited("too-many", "x"), 429, "too-many", ""},
		{errors.New("boom"), 500, "internal", "ERROR"},
		{errs.Unavailable("db-away", "x"), 503, "db-away", "WARN"},
		{context.DeadlineExceeded, 504, "timeout", "WARN"},
		{fmt.Errorf("who gave up? %w", context.Canceled), 500, "internal", "ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			a := write(t, t.Context(), tt.err)
			if a.Code != tt.status || a.members["status"] != float64(tt.status) || a.members["code"] != tt.code {
				t.Errorf("got %d %v", a.Code, a.members)
			}
			if a.members["type"] != "about:blank" || a.members["title"] == "" {
				t.Errorf("not a problem: %v", a.members)
			}
			for name, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := a.Header().Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			if n := strings.Count(a.log, "\n"); tt.level == "" && n != 0 || tt.level != "" && (n != 1 || !strings.Contains(a.log, `"level":"`+tt.level+`"`)) {
				t.Errorf("want one %q line, got %q", tt.level, a.log)
			}
		})
	}
}

func TestACauseIsLoggedAndNeverShown(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errors.New(`pq: relation "people" does not exist`),
		errs.Internal("internal", `pq: relation "people"`).WithCause(errors.New("pq: people")),
		errs.Unavailable("db-away", "Please try again.").WithCause(errors.New("dial people:5432")),
	} {
		a := write(t, t.Context(), err)
		if strings.Contains(a.Body.String(), "people") {
			t.Errorf("the cause is shown: %s", a.Body)
		}
		if !strings.Contains(a.log, "people") || strings.Contains(a.log, "secret") {
			t.Errorf("the log should have the cause, and no query: %s", a.log)
		}
	}
}

func TestFieldAndTraceID(t *testing.T) {
	t.Parallel()
	id, _ := trace.TraceIDFromHex("0102030405060708090a0b0c0d0e0f10")
	span, _ := trace.SpanIDFromHex("0102030405060708")
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span}))
	a := write(t, ctx, errs.Invalid("bad-tag", "A tag is too long.").WithField("tags[3]"))
	if a.members["field"] != "tags[3]" || a.members["traceId"] != id.String() || a.members["detail"] != "A tag is too long." {
		t.Errorf("got %v", a.members)
	}
}

func TestRetryAfterIsInWholeSecondsRoundedUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want string
	}{
		{errs.Unavailable("x", ""), "1"},
		{errs.Unavailable("x", "").WithRetryAfter(1200 * time.Millisecond), "2"},
		{errs.RateLimited("x", "").WithRetryAfter(time.Minute), "60"},
		{errs.RateLimited("x", ""), "1"},
		{errs.Conflict("x", ""), ""},
		{errs.Conflict("x", "").WithRetryAfter(time.Millisecond), "1"},
	}
	for _, tt := range tests {
		if got := write(t, t.Context(), tt.err).Header().Get("Retry-After"); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestACallerThatLeftIsNobodysFailure(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{
		fmt.Errorf("query: %w", context.Canceled),
		errs.Internal("internal", "").WithCause(context.Canceled),
		errs.Unavailable("db-away", "").WithCause(errors.New("conn closed")),
	} {
		if a := write(t, ctx, err); a.Code != 499 || a.log != "" {
			t.Errorf("%v: got %d, log %q", err, a.Code, a.log)
		}
	}
	if a := write(t, ctx, errors.New("a bug")); a.Code != 500 || a.log == "" {
		t.Errorf("a bug must be heard although nobody waits: %d, log %q", a.Code, a.log)
	}
}

type staleNote struct{ err *errs.Error }

func (s staleNote) Error() string { return s.err.Error() }

func (s staleNote) Unwrap() error { return s.err }

func (s staleNote) ProblemExtensions() map[string]any {
	return map[string]any{"current": map[string]any{"version": 7}, "status": 200, "code": "fine", "traceId": "forged"}
}

func TestExtensionsAddMembersAndReplaceNone(t *testing.T) {
	t.Parallel()
	a := write(t, t.Context(), fmt.Errorf("update: %w", staleNote{errs.Stale("stale", "Somebody was faster.")}))
	if a.Code != 412 || a.members["code"] != "stale" || a.members["status"] != float64(412) || a.members["traceId"] != nil {
		t.Errorf("got %d %v", a.Code, a.members)
	}
	if current, _ := a.members["current"].(map[string]any); current["version"] != float64(7) {
		t.Errorf("got %v", a.members["current"])
	}
}

type unencodable struct{ error }

func (unencodable) ProblemExtensions() map[string]any { return map[string]any{"x": make(chan int)} }

func TestAnExtensionThatCannotBeEncodedIsStillAnAnswer(t *testing.T) {
	t.Parallel()
	a := write(t, t.Context(), unencodable{errs.NotFound("not-found", "")})
	if a.Code != 500 || a.members["code"] != "internal" {
		t.Errorf("got %d %v", a.Code, a.members)
	}
}

type written struct{ *httptest.ResponseRecorder }

func (written) Written() bool { return true }

func TestAnAnswerThatHasBegunIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := written{httptest.NewRecorder()}
	problem.Write(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), errs.NotFound("not-found", ""))
	if w.Body.Len() != 0 || w.Header().Get("Content-Type") != "" {
		t.Errorf("it was written to: %q", w.Body)
	}
}

func TestHeadersOfTheGoodAnswerAreTakenBack(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	for _, name := range []string{"ETag", "Content-Encoding", "Content-Length", "Last-Modified"} {
		w.Header().Set(name, "x")
	}
	problem.Handler(errs.NotFound("not-found", "")).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	for _, name := range []string{"ETag", "Content-Encoding", "Content-Length", "Last-Modified"} {
		if w.Header().Get(name) != "" {
			t.Errorf("%s is still there", name)
		}
	}
}
