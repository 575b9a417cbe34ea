package server

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/telemetry"
)

// gauge is a number that is read when the metrics are.
type gauge struct {
	name, description string
	counter           bool // it only grows
	read              func(live.Stats) int64
}

func (s *Server) gauges() []gauge {
	return []gauge{
		{"noteworks.live.sockets", "sockets open on this process", false, func(live.Stats) int64 { return int64(s.sockets.Sockets()) }},
		{"noteworks.live.dead", "sockets given up because nobody answered", true, func(live.Stats) int64 { return s.sockets.Dead() }},
		{"noteworks.live.frames.queued", "event frames handed to sockets", true, func(st live.Stats) int64 { return st.Queued }},
		{"noteworks.live.frames.withdrawn", "event frames taken back before they were written", true, func(st live.Stats) int64 { return st.Withdrawn }},
		{"noteworks.live.cut", "sockets cut off because they did not read", true, func(st live.Stats) int64 { return st.Cut }},
		{"noteworks.live.resyncs", "clients told to load everything anew", true, func(st live.Stats) int64 { return st.Resyncs }},
		{"noteworks.live.events.repeated", "events that came again and were passed over", true, func(st live.Stats) int64 { return st.Repeated }},
		{"noteworks.live.events.gaps", "times that events were found missing", true, func(st live.Stats) int64 { return st.Gaps }},
		{"noteworks.live.ring.events", "events kept for returning clients", false, func(st live.Stats) int64 { return int64(st.RingEvents) }},
		{"noteworks.live.ring.bytes", "bytes of those events", false, func(st live.Stats) int64 { return int64(st.RingBytes) }},
		{"noteworks.live.endings", "ended sessions whose tokens may still be valid", false, func(st live.Stats) int64 { return int64(st.Endings) }},
		{"noteworks.live.degraded", "1 while live updates are behind, such as without NATS", false, func(st live.Stats) int64 {
			if st.Holding {
				return 1
			}
			return 0
		}},
		{"noteworks.requests.limited", "requests refused because their workspace had used up what it may send", true, func(live.Stats) int64 { return s.quota.Refused() }},
	}
}

// observe registers the metrics of the live hub and the door; those of requests, upstreams and breakers come with the kit.
func (s *Server) observe() error {
	meter := s.tel.Meters.Meter(telemetry.Scope)
	all := s.gauges()
	instruments := make([]metric.Int64Observable, len(all))
	observables := make([]metric.Observable, len(all))
	for i, g := range all {
		var err error
		if g.counter {
			instruments[i], err = meter.Int64ObservableCounter(g.name, metric.WithDescription(g.description))
		} else {
			instruments[i], err = meter.Int64ObservableGauge(g.name, metric.WithDescription(g.description))
		}
		if err != nil {
			return fmt.Errorf("metric %s: %w", g.name, err)
		}
		observables[i] = instruments[i]
	}
	_, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := s.hub.Stats()
		for i, g := range all {
			o.ObserveInt64(instruments[i], g.read(stats))
		}
		return nil
	}, observables...)
	if err != nil {
		return fmt.Errorf("live metrics: %w", err)
	}
	return nil
}
