package httpserver

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

// guard is what every request of a Server passes before anything of ours runs. What it turns away has a trace, a line in the log and a place in the
// metrics like any other refusal.
func guard(h http.Handler, tel *telemetry.Telemetry, set options) http.Handler {
	inner, away := Recover(h, tel), Instrument(AccessLog(turnAway(set), tel), tel, nil, PublicDoor())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused(r, set) != nil {
			away.ServeHTTP(w, r)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, set.maxBody)
		}
		if set.timeout <= 0 || set.longLived(r) {
			inner.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), set.timeout)
		defer cancel()
		inner.ServeHTTP(w, r.WithContext(ctx))
	})
}

// turnAway tells why r is refused.
func turnAway(set options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
		problem.Write(w, r, refused(r, set))
	})
}

func refused(r *http.Request, set options) error {
	switch {
	case r.Method == http.MethodTrace || r.Method == http.MethodConnect || r.Method == "TRACK":
		return errs.New(errs.KindMethodNotAllowed, "method-not-allowed", "This method is never allowed.")
	case headerSize(r) > maxHeader:
		return errs.New(errs.KindHeadersTooLarge, "headers-too-large", "The headers are over 32 kB.")
	case r.ContentLength > set.maxBody:
		return bodyTooLarge(set.maxBody)
	}
	return nil
}

func headerSize(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

func bodyTooLarge(limit int64) *errs.Error {
	return errs.TooLarge("body-too-large", "The body is over %d bytes.", limit)
}

// Recover turns a panic of h into a 500 problem, logged once with its stack. http.ErrAbortHandler passes: it is how a handler says
// that the connection must end.
func Recover(h http.Handler, tel *telemetry.Telemetry) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if telemetry.LogFrom(r.Context()) != tel.Log {
			r = r.WithContext(telemetry.WithLog(r.Context(), tel.Log))
		}
		tracked := track(w)
		defer func() {
			if p := recover(); p != nil {
				recovered(tracked, r, p)
			}
		}()
		h.ServeHTTP(tracked, r)
	})
}

func recovered(w *tracked, r *http.Request, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint,err113 // a panic value, compared as net/http does
		panic(p)
	}
	err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	span := trace.SpanFromContext(r.Context())
	span.SetStatus(codes.Error, "panic")
	half := w.started
	problem.Write(w, r, errs.Internal("internal", "").WithCause(err))
	if half {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}
