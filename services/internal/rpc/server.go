// Package rpc is how our services call one another: Connect on an internal port, with callers that prove who they are, deadlines that travel, errors that keep
// kind, code and detail, and clients that give up in time.
//
// It promises, on the server: no procedure runs for a caller that is not on its list, or without a deadline; a panic is one internal error; a cause is
// logged here and never sent. On the client: a timeout within the caller's deadline, a bounded retry with jitter of idempotent procedures that found nobody, a
// circuit breaker, and errs errors in every case.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/telemetry"
)

const (
	// MaxDeadline is what a call may take at most, whatever its caller allows, and what it gets from a caller that says nothing.
	MaxDeadline = 10 * time.Second

	// maxMessage is below httpserver.MaxBody, so that it is what refuses. No message of ours carries a note's text.
	maxMessage = 1 << 20
)

// Server collects the procedures of an internal port; it is the handler of an httpserver with WithH2C. Set up Mount, Allow and Handle
// before it serves.
//
//	s := rpc.NewServer(callers, tel)
//	s.Mount(userv1connect.NewDirectoryServiceHandler(directory, s.Options()...))
//	s.Allow("note", userv1connect.DirectoryServiceFindPersonByEmailProcedure)
type Server struct {
	mux     *http.ServeMux
	callers CallerVerifier
	allowed map[string][]string // procedure → callers
	tel     *telemetry.Telemetry
	traced  http.Handler
}

// NewServer asks callers who calls.
func NewServer(callers CallerVerifier, tel *telemetry.Telemetry) *Server {
	s := &Server{mux: http.NewServeMux(), callers: callers, allowed: map[string][]string{}, tel: tel}
	s.mux.HandleFunc("/", httpserver.NotFound)
	s.traced = otelhttp.NewHandler(httpserver.Recover(s.mux, tel), "",
		otelhttp.WithTracerProvider(tel.Tracers),
		otelhttp.WithMeterProvider(tel.Meters),
		otelhttp.WithPropagators(tel.Propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return s.spanName(r) }))
	return s
}

// Mount adds a generated handler, which must have been built with Options.
func (s *Server) Mount(path string, h http.Handler) { s.mux.Handle(path, h) }

// Allow lets caller use procedures. What nobody is allowed to call, nobody can.
func (s *Server) Allow(caller string, procedures ...string) {
	for _, p := range procedures {
		s.allowed[p] = append(s.allowed[p], caller)
	}
}

// Handle adds a plain HTTP handler that needs no caller: the published key set. pattern is http.ServeMux's.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.traced.ServeHTTP(w, r) }

// Options are what every generated handler of s must be built with.
func (s *Server) Options() []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithRequestGate(s.admit),
		connect.WithInterceptors(serving{s.tel}),
		connect.WithRecover(s.recovered),
		connect.WithReadMaxBytes(maxMessage),
		strictly(),
		connect.WithCompressMinBytes(1 << 10),
	}
}

// spanName is a procedure's name, or the method alone for everything else.
func (s *Server) spanName(r *http.Request) string {
	if _, known := s.allowed[r.URL.Path]; known {
		return strings.TrimPrefix(r.URL.Path, "/")
	}
	return r.Method
}

// admit runs before a message is read.
func (s *Server) admit(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
	caller, err := s.caller(ctx, header)
	if err == nil && !slices.Contains(s.allowed[spec.Procedure], caller.Name) {
		err = errs.Forbidden(codeCallerNotAllowed, "%s may not call this procedure.", caller.Name)
	}
	if err != nil {
		s.tel.Log.WarnContext(ctx, "caller refused", slog.String("procedure", spec.Procedure), slog.String("caller", caller.Name), telemetry.Err(err))
		return ctx, toConnect(err)
	}
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("noteworks.caller", caller.Name))
	return context.WithValue(ctx, callerKey{}, caller), nil
}

func (s *Server) caller(ctx context.Context, header http.Header) (Caller, error) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return Caller{}, errs.Unauthenticated(codeCallerUnknown, "The caller should present one bearer token.")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Caller{}, errs.Unauthenticated(codeCallerUnknown, "The caller should present one bearer token.")
	}
	return s.callers.Caller(ctx, token)
}

func (s *Server) recovered(_ context.Context, _ connect.Spec, _ http.Header, p any) error {
	return errs.Internal("internal", "").WithCause(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

// serving is what surrounds each procedure: a deadline, and the way errors leave.
type serving struct{ tel *telemetry.Telemetry }

func (i serving) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(telemetry.WithLog(ctx, i.tel.Log), MaxDeadline)
		defer cancel()
		res, err := next(ctx, req)
		if err != nil {
			return nil, i.leave(ctx, req.Spec().Procedure, err)
		}
		return res, nil
	}
}

func (i serving) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (i serving) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		ctx, cancel := context.WithTimeout(telemetry.WithLog(ctx, i.tel.Log), MaxDeadline)
		defer cancel()
		if err := next(ctx, conn); err != nil {
			return i.leave(ctx, conn.Spec().Procedure, err)
		}
		return nil
	}
}

// leave logs what is our fault, once and with its cause, and sends the rest of it.
func (i serving) leave(ctx context.Context, procedure string, err error) error {
	var decoding *connect.Error // of connect itself, before our code ran
	if errors.As(err, &decoding) && errs.KindOf(err) == errs.KindInternal && decoding.Code() != connect.CodeInternal && decoding.Code() != connect.CodeUnknown {
		return err
	}
	kind := errs.KindOf(err)
	if kind.Status() < http.StatusInternalServerError {
		return toConnect(err)
	}
	level := slog.LevelWarn
	if kind == errs.KindInternal {
		level = slog.LevelError
	}
	i.tel.Log.LogAttrs(ctx, level, "call failed", slog.String("procedure", procedure), slog.String("code", errs.CodeOf(err)), telemetry.Err(err))
	trace.SpanFromContext(ctx).SetStatus(codes.Error, errs.CodeOf(err))
	return toConnect(err)
}
