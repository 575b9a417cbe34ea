package outbox

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

// meter is what the relay reports: a replica that does not relay reports a leader of 0 and no backlog.
type meter struct {
	attrs     metric.MeasurementOption
	published metric.Int64Counter
	failures  metric.Int64Counter
	rebuilt   metric.Int64Counter

	leader atomic.Bool
	mu     sync.Mutex
	known  bool
	last   backlog
	taken  time.Time
}

func newMeter(tel *telemetry.Telemetry, stream string) *meter {
	m := &meter{attrs: metric.WithAttributeSet(attribute.NewSet(attribute.String("stream", stream)))}
	meter := tel.Meters.Meter("noteworks.dev/services/internal/outbox")
	// The names are valid, so none of these fails.
	m.published, _ = meter.Int64Counter("outbox_published", metric.WithDescription("Events stored in the stream."))
	m.failures, _ = meter.Int64Counter("outbox_relay_failures", metric.WithDescription("Times the relay had to begin again from the stream's last message."))
	m.rebuilt, _ = meter.Int64Counter("outbox_stream_rebuilt", metric.WithDescription("Times the stream had lost messages and was filled again."))
	leader, _ := meter.Int64ObservableGauge("relay_leader", metric.WithDescription("1 in the replica that relays."))
	pending, _ := meter.Int64ObservableGauge("outbox_pending", metric.WithDescription("Events committed and not published, as far as counted."))
	oldest, _ := meter.Float64ObservableGauge("outbox_oldest_unpublished_seconds", metric.WithDescription("Age of the oldest event that is not published; it grows while NATS is away."))
	lane, _ := meter.Int64ObservableGauge("outbox_lane_pending", metric.WithDescription("Events of one lane committed and not published, as far as counted."))
	lanes := laneAttributes(stream)
	_, _ = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(leader, number(m.leader.Load()), m.attrs)
		if b, known := m.backlog(); known {
			o.ObserveInt64(pending, b.pending(), m.attrs)
			o.ObserveFloat64(oldest, b.oldest.Seconds(), m.attrs)
			for i, n := range b.lanes {
				o.ObserveInt64(lane, n, lanes[i])
			}
		}
		return nil
	}, leader, pending, oldest, lane)
	for _, counter := range []metric.Int64Counter{m.published, m.failures, m.rebuilt} {
		counter.Add(context.Background(), 0, m.attrs) // Prometheus sees no increase in a series that begins at 1
	}
	return m
}

func laneAttributes(stream string) (all [event.Lanes]metric.MeasurementOption) {
	for i := range all {
		all[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("stream", stream), attribute.Int("lane", i)))
	}
	return all
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (m *meter) set(b backlog) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.last, m.taken = true, b, time.Now()
}

func (m *meter) forget() {
	m.leader.Store(false)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = false
}

// backlog is the last measurement, its age added to that of the oldest event.
func (m *meter) backlog() (backlog, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.last
	if b.pending() > 0 {
		b.oldest += time.Since(m.taken)
	}
	return b, m.known
}
