package httpserver

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

const readyBudget = 2 * time.Second

// NewOps is the operations port, which no stranger may reach: /livez says that the process runs and looks at nothing else, /readyz
// whether it should get requests (ready answers within 2 s, and the server is not draining), /metrics what Prometheus collects.
func NewOps(addr string, ready func(context.Context) error, tel *telemetry.Telemetry) *Server {
	mux := http.NewServeMux()
	s := New("operations", addr, mux, tel)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { s.readyz(w, r, ready) })
	mux.Handle("GET /metrics", tel.MetricsHandler())
	s.meter(ready)
	mux.Handle("/", problem.Handler(errs.NotFound("not-found", "There is nothing at this address.")))
	return s
}

// meter exposes what /readyz answers, so that an alert knows it of every replica.
func (s *Server) meter(ready func(context.Context) error) {
	// The name is valid, so this does not fail.
	_, _ = s.tel.Meters.Meter(telemetry.Scope).Int64ObservableGauge("noteworks.ready",
		metric.WithDescription("1 while this process asks for requests, as /readyz answers."),
		metric.WithInt64Callback(func(ctx context.Context, o metric.Int64Observer) error {
			ctx, cancel := context.WithTimeout(ctx, readyBudget)
			defer cancel()
			value := int64(0)
			if !s.draining.Load() && answered(ctx, ready) == nil {
				value = 1
			}
			o.Observe(value)
			return nil
		}))
}

// readyz logs nothing above INFO: not being ready is a state that is asked for every few seconds, not an event.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, ready func(context.Context) error) {
	if s.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyBudget)
	defer cancel()
	if err := answered(ctx, ready); err != nil {
		s.tel.Log.InfoContext(ctx, "not ready", slog.String("server", s.name), telemetry.Err(err))
		plain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	plain(w, http.StatusOK, "ok\n")
}

// answered does not wait for a check that ignores its context.
func answered(ctx context.Context, ready func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- ready(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a prober that left is not our failure
}
