package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"
	"go.opentelemetry.io/otel/trace"
)

// newHandler writes JSON, or text where a person looks on or LOG_FORMAT says so.
func newHandler(w io.Writer, set settings) slog.Handler {
	opts := &slog.HandlerOptions{Level: set.LogLevel}
	if set.LogFormat == "text" || set.LogFormat == "" && terminal(w) {
		return tracedHandler{slog.NewTextHandler(w, opts)}
	}
	return tracedHandler{slog.NewJSONHandler(w, opts)}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// tracedHandler adds the ids of the context's span, so that a line leads to its trace and back.
type tracedHandler struct{ slog.Handler }

func (h tracedHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h tracedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracedHandler{h.Handler.WithAttrs(attrs)}
}

func (h tracedHandler) WithGroup(name string) slog.Handler {
	return tracedHandler{h.Handler.WithGroup(name)}
}

type logKey struct{}

// WithLog puts the service's logger into ctx, for code that is shared by services and is handed nothing but a request.
func WithLog(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// LogFrom is the logger that WithLog put into ctx. Without one it is slog's default, so that no failure goes unheard.
func LogFrom(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(logKey{}).(*slog.Logger); ok {
		return log
	}
	return slog.Default()
}
