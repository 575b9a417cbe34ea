package httpserver

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
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

// readyz tells the reason to whoever asks, and the log when it changes: not being ready is asked for every few seconds. What a service waits for before it
// is ready the first time is its own to log.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, ready func(context.Context) error) {
	if s.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyBudget)
	defer cancel()
	err := answered(ctx, ready)
	s.noteReadiness(ctx, err)
	if err != nil {
		plain(w, http.StatusServiceUnavailable, "not ready: "+oneLine(err)+"\n")
		return
	}
	plain(w, http.StatusOK, "ok\n")
}

// noteReadiness logs that the server is not ready any more, or is again.
func (s *Server) noteReadiness(ctx context.Context, err error) {
	reason := ""
	if err != nil {
		reason = oneLine(err)
	}
	s.mu.Lock()
	before, known := s.reason, s.everReady
	s.reason, s.everReady = reason, known || err == nil
	s.mu.Unlock()
	switch {
	case !known || reason == before:
	case err != nil:
		s.tel.Log.WarnContext(ctx, "not ready", slog.String("reason", reason))
	default:
		s.tel.Log.InfoContext(ctx, "ready again")
	}
}

// oneLine is err in one line, and not a long one.
func oneLine(err error) string {
	const most = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	return text[:min(len(text), most)]
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
