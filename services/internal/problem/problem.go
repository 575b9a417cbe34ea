// Package problem is the one door by which errors leave an HTTP API: as RFC 9457 application/problem+json with a stable code and the
// trace id. It promises that a cause is never shown, that only our own failures (5xx) are logged, each once and with its cause, and
// that nothing about a failure is cached.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

// ContentType is what a problem is sent as.
const ContentType = "application/problem+json"

const statusClientGone = 499 // nobody reads it; access logs and metrics do

// Write answers r with err. What err says to a caller comes from its *errs.Error; an error without one is a 500 that says nothing.
//
// An error in err's tree with a method ProblemExtensions() map[string]any adds members to the problem (a 412's "current");
// it cannot replace the standard ones. When the handler has written its answer already, err is only logged.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	e := told(r.Context(), err)
	report(r, e, err)
	if written, ok := w.(interface{ Written() bool }); ok && written.Written() {
		return
	}
	body, failed := json.Marshal(members(r.Context(), e, err))
	if failed != nil {
		telemetry.LogFrom(r.Context()).ErrorContext(r.Context(), "problem not encoded", telemetry.Err(failed))
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal"}`)
		e = errs.New(errs.KindInternal, "internal", "")
	}
	header(w.Header(), e)
	w.WriteHeader(e.Kind.Status())
	_, _ = w.Write(body) // a client that left is not our failure
}

// Handler answers every request with err: what routers need for unknown routes and wrong methods.
func Handler(err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { Write(w, r, err) })
}

// told is what the caller may know of err.
func told(ctx context.Context, err error) *errs.Error {
	e := errs.As(err)
	switch {
	case gone(ctx, e, err):
		return errs.New(errs.KindCanceled, errs.KindCanceled.Code(), "")
	case e.Kind == errs.KindCanceled: // the caller is still there: something of ours gave up
		return errs.New(errs.KindInternal, errs.KindInternal.Code(), "").WithCause(err)
	}
	return e
}

// gone reports whether the caller left and err is a consequence of that. A failure of another sort is one although nobody waits.
func gone(ctx context.Context, e *errs.Error, err error) bool {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return false
	}
	return e.Kind == errs.KindCanceled || e.Kind == errs.KindTimeout || e.Kind == errs.KindUnavailable || errors.Is(err, context.Canceled)
}

func report(r *http.Request, e *errs.Error, err error) {
	if e.Kind.Status() < http.StatusInternalServerError {
		return
	}
	level := slog.LevelError
	if e.Kind == errs.KindUnavailable || e.Kind == errs.KindTimeout {
		level = slog.LevelWarn // something we need is away; its own owner reports why
	}
	telemetry.LogFrom(r.Context()).LogAttrs(r.Context(), level, "request failed",
		slog.Int("status", e.Kind.Status()),
		slog.String("code", e.Code),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		telemetry.Err(err))
}

func header(h http.Header, e *errs.Error) {
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	h.Del("ETag")
	h.Del("Last-Modified")
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if wait := retryAfter(e); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wait))
	}
	if e.Kind == errs.KindUnauthenticated {
		h.Set("WWW-Authenticate", "Bearer")
	}
}

// retryAfter is in whole seconds, rounded up. Whoever is told to come back is always told when.
func retryAfter(e *errs.Error) int {
	if e.RetryAfter <= 0 && e.Kind != errs.KindUnavailable && e.Kind != errs.KindRateLimited {
		return 0
	}
	return max(1, int(math.Ceil(float64(e.RetryAfter)/float64(time.Second))))
}

func members(ctx context.Context, e *errs.Error, err error) map[string]any {
	all := map[string]any{}
	var extended interface{ ProblemExtensions() map[string]any }
	if errors.As(err, &extended) {
		for name, value := range extended.ProblemExtensions() {
			all[name] = value
		}
	}
	all["type"] = "about:blank"
	all["title"] = title(e.Kind)
	all["status"] = e.Kind.Status()
	all["code"] = code(e)
	set(all, "detail", detail(e))
	set(all, "field", e.Field)
	set(all, "traceId", telemetry.TraceID(ctx))
	return all
}

func set(all map[string]any, name, value string) {
	delete(all, name)
	if value != "" {
		all[name] = value
	}
}

func title(k errs.Kind) string {
	if k.Status() == statusClientGone {
		return "Client Closed Request"
	}
	return http.StatusText(k.Status())
}

func code(e *errs.Error) string {
	if e.Code == "" {
		return e.Kind.Code()
	}
	return e.Code
}

// detail is the error's own, but an internal one's stays inside: it may name what only we should know.
func detail(e *errs.Error) string {
	switch {
	case e.Kind == errs.KindInternal:
		return "Something went wrong on our side. The trace id leads to it."
	case e.Detail == "" && e.Kind == errs.KindTimeout:
		return "It took too long and was given up."
	case e.Detail == "" && e.Kind == errs.KindUnavailable:
		return "Part of the service is away at the moment. Please try again."
	}
	return e.Detail
}
