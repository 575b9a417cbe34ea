package httpserver

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/telemetry"
)

// InstrumentOption changes Instrument.
type InstrumentOption func(*instrumented)

// PublicDoor is for the port that strangers reach: their trace id is kept, their wish to be sampled is not (see telemetry.PublicDoor).
func PublicDoor() InstrumentOption { return func(i *instrumented) { i.public = true } }

type instrumented struct {
	next   http.Handler
	tel    *telemetry.Telemetry
	route  func(*http.Request) string
	public bool
}

// Instrument gives each request of h a server span named by method and route ("PUT /api/v1/notes/{id}"), its duration and size as metrics, and an
// answer to panics. route tells a request's route after h ran; nil takes what SetRoute noted. A request without a route is named by its method
// alone, because a path is a stranger's to choose.
func Instrument(h http.Handler, tel *telemetry.Telemetry, route func(*http.Request) string, opts ...InstrumentOption) http.Handler {
	i := &instrumented{next: Recover(h, tel), tel: tel, route: route}
	for _, opt := range opts {
		opt(i)
	}
	if i.route == nil {
		i.route = Route
	}
	traced := otelhttp.NewHandler(http.HandlerFunc(i.named), "",
		otelhttp.WithTracerProvider(tel.Tracers),
		otelhttp.WithMeterProvider(tel.Meters),
		otelhttp.WithPropagators(tel.Propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return method(r) }))
	if !i.public {
		return traced
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		traced.ServeHTTP(w, r.WithContext(telemetry.PublicDoor(r.Context())))
	})
}

// named runs the handler, and then knows what the span should have been called.
func (i *instrumented) named(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(context.WithValue(r.Context(), routeKey{}, new(string)))
	defer func() {
		route := i.route(r)
		if route == "" {
			return
		}
		span := trace.SpanFromContext(r.Context())
		span.SetName(method(r) + " " + route)
		attr := attribute.String("http.route", route)
		span.SetAttributes(attr)
		if labels, ok := otelhttp.LabelerFromContext(r.Context()); ok {
			labels.Add(attr)
		}
	}()
	i.next.ServeHTTP(w, r)
}

// method is r's, or "HTTP" for an invented one.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "HTTP"
}

type routeKey struct{}

// SetRoute notes the route that r matched, for the name of its span: a middleware of the router calls it. gin's ":id" is taken
// for OpenAPI's "{id}".
func SetRoute(r *http.Request, route string) {
	if noted, ok := r.Context().Value(routeKey{}).(*string); ok {
		*noted = braces(route)
	}
}

// Route is what SetRoute noted for r, or "".
func Route(r *http.Request) string {
	if noted, ok := r.Context().Value(routeKey{}).(*string); ok {
		return *noted
	}
	return ""
}

func braces(route string) string {
	if !strings.ContainsAny(route, ":*") {
		return route
	}
	parts := strings.Split(route, "/")
	for i, p := range parts {
		if len(p) > 1 && (p[0] == ':' || p[0] == '*') {
			parts[i] = "{" + p[1:] + "}"
		}
	}
	return strings.Join(parts, "/")
}

// AccessLog writes a line per request: INFO for those refused or failed, DEBUG for the rest, which the metrics count. It logs the path
// without its query, which may hold what people search for.
func AccessLog(h http.Handler, tel *telemetry.Telemetry) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		t := track(w)
		defer func() {
			level := slog.LevelDebug
			if t.status >= http.StatusBadRequest {
				level = slog.LevelInfo
			}
			tel.Log.LogAttrs(r.Context(), level, "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path),
				slog.Int("status", t.status),
				slog.Int64("bytes", t.bytes),
				slog.Duration("took", time.Since(start)))
		}()
		h.ServeHTTP(t, r)
	})
}
