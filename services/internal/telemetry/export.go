package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery is how often a failing collector is worth a line.
const complainEvery = time.Minute

// batchLimits bound what spans may cost while the collector is slow: 2,048 queued spans are about 4 MB, what comes on top is
// dropped. Waiting would slow requests down.
func batchLimits() []sdktrace.BatchSpanProcessorOption {
	return []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(2048),
		sdktrace.WithMaxExportBatchSize(512),
		sdktrace.WithBatchTimeout(time.Second),
		sdktrace.WithExportTimeout(exportTimeout),
	}
}

// quietExporter keeps an exporter's failures away from OpenTelemetry's global error handler, and says them at most once a
// minute: a collector that is away is no reason to fill the log.
type quietExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	next   time.Time
	missed int
}

func newQuietExporter(e sdktrace.SpanExporter, log *slog.Logger) *quietExporter {
	return &quietExporter{SpanExporter: e, log: log, now: time.Now}
}

// ExportSpans never fails: the spans are lost either way, and the processor would only report it again.
func (q *quietExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := q.SpanExporter.ExportSpans(ctx, spans); err != nil {
		q.complain(ctx, err, len(spans))
	}
	return nil
}

func (q *quietExporter) complain(ctx context.Context, err error, spans int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.missed += spans
	now := q.now()
	if now.Before(q.next) {
		return
	}
	q.log.WarnContext(ctx, "spans not exported", slog.Int("spans", q.missed), Err(err))
	q.next, q.missed = now.Add(complainEvery), 0
}
