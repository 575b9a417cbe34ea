package inbox

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"noteworks.dev/services/internal/telemetry"
)

// meter is what a consumer reports.
type meter struct {
	consumer  string
	sets      sync.Map // event type → metric.MeasurementOption: made once, not for each event
	processed metric.Int64Counter
	duplicate metric.Int64Counter
	unknown   metric.Int64Counter
	retried   metric.Int64Counter
	parked    metric.Int64Counter
	latency   metric.Float64Histogram

	waiting, unacknowledged, dead atomic.Int64
}

func newMeter(tel *telemetry.Telemetry, consumer string) *meter {
	m := &meter{consumer: consumer}
	meter := tel.Meters.Meter("noteworks.dev/services/internal/inbox")
	// The names are valid, so none of these fails.
	m.processed, _ = meter.Int64Counter("inbox_processed", metric.WithDescription("Events that took effect."))
	m.duplicate, _ = meter.Int64Counter("inbox_duplicates", metric.WithDescription("Deliveries of events that had taken effect before."))
	m.unknown, _ = meter.Int64Counter("inbox_unknown", metric.WithDescription("Events of types without a handler."))
	m.retried, _ = meter.Int64Counter("inbox_retried", metric.WithDescription("Events put off to be tried again."))
	m.parked, _ = meter.Int64Counter("inbox_parked", metric.WithDescription("Events given up, now in the dead-letter stream."))
	m.latency, _ = meter.Float64Histogram("inbox_latency_seconds", metric.WithDescription("From the stream's taking an event to its effect."),
		metric.WithExplicitBucketBoundaries(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 120))
	waiting, _ := meter.Int64ObservableGauge("inbox_pending", metric.WithDescription("Events of the stream that this consumer was not given yet."))
	unacknowledged, _ := meter.Int64ObservableGauge("inbox_unacknowledged", metric.WithDescription("Events given and not settled: being handled, or waiting for a further try."))
	dead, _ := meter.Int64ObservableGauge("inbox_dead_letters", metric.WithDescription("Events given up that nobody has replayed or discarded."))
	of := metric.WithAttributeSet(attribute.NewSet(attribute.String("consumer", consumer)))
	_, _ = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(waiting, m.waiting.Load(), of)
		o.ObserveInt64(unacknowledged, m.unacknowledged.Load(), of)
		o.ObserveInt64(dead, m.dead.Load(), of)
		return nil
	}, waiting, unacknowledged, dead)
	m.unknown.Add(context.Background(), 0, of)
	return m
}

// begin makes the counters of an event type exist, at 0: Prometheus sees no increase in a series that begins at 1.
func (m *meter) begin(kind string) {
	for _, counter := range []metric.Int64Counter{m.processed, m.duplicate, m.retried, m.parked} {
		counter.Add(context.Background(), 0, m.of(kind))
	}
}

// of is the attributes of an event type.
func (m *meter) of(kind string) metric.MeasurementOption {
	if known, ok := m.sets.Load(kind); ok {
		if set, ok := known.(metric.MeasurementOption); ok {
			return set
		}
	}
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("consumer", m.consumer), attribute.String("event_type", kind)))
	m.sets.Store(kind, set)
	return set
}

func (m *meter) settled(ctx context.Context, j *job) {
	switch {
	case j.handle == nil:
		m.unknown.Add(ctx, 1, m.of(j.kind()))
	case j.handled:
		m.processed.Add(ctx, 1, m.of(j.Event.Type))
		m.latency.Record(ctx, time.Since(j.Stored).Seconds(), m.of(j.Event.Type))
	default:
		m.duplicate.Add(ctx, 1, m.of(j.Event.Type))
	}
}

func (m *meter) lag(waiting, unacknowledged uint64) {
	m.waiting.Store(int64(waiting))
	m.unacknowledged.Store(int64(unacknowledged))
}
