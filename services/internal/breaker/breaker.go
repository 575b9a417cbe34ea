// Package breaker stops calling what keeps failing, so that a caller gets its answer at once and the callee gets room to recover. It is the only
// place that knows failsafe-go.
//
// It promises: open after half of at least 10 calls in 10 s failed, a trial call after about a second, closed again after two that
// worked; errs.Unavailable with a delay while open; the state as the metric noteworks.breaker.state.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

const (
	failureRate = 0.5
	minCalls    = 10
	window      = 10 * time.Second
	openFor     = time.Second
	trials      = 2
)

// Breaker guards one upstream. It is safe for concurrent use.
type Breaker struct {
	upstream string
	circuit  circuitbreaker.CircuitBreaker[any]
}

// New guards upstream, whose name is for people, logs and the metric.
func New(upstream string, tel *telemetry.Telemetry) (*Breaker, error) {
	b := &Breaker{upstream: upstream}
	b.circuit = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(failureRate, minCalls, window).
		WithDelay(openFor).
		WithJitterFactor(0.2). // many processes must not try again in the same moment
		WithSuccessThreshold(trials).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			tel.Log.Warn("circuit breaker changed", "upstream", upstream, "from", e.OldState.String(), "to", e.NewState.String())
		}).
		Build()
	return b, b.observe(tel)
}

// observe registers a callback beside the instrument: breakers of one process share the instrument, which takes none from the second one on.
func (b *Breaker) observe(tel *telemetry.Telemetry) error {
	meter := tel.Meters.Meter(telemetry.Scope)
	state, err := meter.Int64ObservableGauge("noteworks.breaker.state", metric.WithDescription("0 closed, 1 half open, 2 open"))
	if err != nil {
		return fmt.Errorf("breaker metric: %w", err)
	}
	attrs := metric.WithAttributes(attribute.String("upstream", b.upstream))
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(state, b.gauge(), attrs)
		return nil
	}, state)
	if err != nil {
		return fmt.Errorf("breaker metric: %w", err)
	}
	return nil
}

func (b *Breaker) gauge() int64 {
	switch {
	case b.circuit.IsOpen():
		return 2
	case b.circuit.IsHalfOpen():
		return 1
	}
	return 0
}

// Allow admits a call, whose outcome must then be told to done exactly once, or refuses it with errs.Unavailable.
//
// A call that was cancelled by its caller says nothing about the upstream. It counts as a success, because an admitted trial call has to
// end as something.
func (b *Breaker) Allow() (done func(error), err error) {
	if !b.circuit.TryAcquirePermit() {
		return nil, b.refusal()
	}
	return func(err error) {
		if err == nil || errors.Is(err, context.Canceled) {
			b.circuit.RecordSuccess()
			return
		}
		b.circuit.RecordFailure()
	}, nil
}

func (b *Breaker) refusal() error {
	return errs.Unavailable("upstream-unavailable", "Part of the service is away at the moment. Please try again.").
		WithCause(fmt.Errorf("%s: %w", b.upstream, circuitbreaker.ErrOpen)).
		WithRetryAfter(max(b.circuit.RemainingDelay(), openFor/4))
}
