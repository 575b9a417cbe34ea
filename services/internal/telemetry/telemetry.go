// Package telemetry gives one service its logs, traces and metrics. Nothing in it is global: several services in one process
// keep apart, each with its own name in the trace.
//
// It promises: logs always, as JSON lines (text on a terminal) with the trace of their context; traces when the standard OTEL_* settings
// name a collector, and ids in any case, so that every log line and every problem can be found again; a collector that is slow, away or
// flooded costs dropped spans and one warning a minute, never a request's time; metrics for Prometheus from a registry of its own.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/config"
)

// Telemetry is what a service reports through. All fields are set, also by Discard.
type Telemetry struct {
	Log     *slog.Logger
	Tracers trace.TracerProvider
	Meters  metric.MeterProvider
	// Propagator is W3C Trace Context and nothing else: baggage of strangers is neither read nor sent on.
	Propagator propagation.TextMapPropagator

	registry *prometheus.Registry
	stop     []func(context.Context) error
	stopped  sync.Once
}

// Option changes how New builds a Telemetry.
type Option func(*options)

type options struct {
	processors []sdktrace.SpanProcessor
}

// WithSpanProcessor adds p and samples everything: tests see every span.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return func(o *options) { o.processors = append(o.processors, p) }
}

// New builds the telemetry of service from the settings that lookup answers, and logs to logs. It does not wait for
// the collector; ctx bounds the set-up only.
func New(ctx context.Context, service string, lookup config.LookupFunc, logs io.Writer, opts ...Option) (*Telemetry, error) {
	set, err := config.Load[settings](lookup)
	if err != nil {
		return nil, err
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if set.ServiceName == "" {
		set.ServiceName = service
	}
	res, err := set.resource()
	if err != nil {
		return nil, err
	}
	t := &Telemetry{
		Log:        slog.New(newHandler(logs, set)).With(slog.String("service", set.ServiceName)),
		Propagator: propagation.TraceContext{},
	}
	if err := t.startTraces(ctx, set, res, o); err != nil {
		return nil, err
	}
	if err := t.startMetrics(set, res); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// Discard is a Telemetry that reports nowhere. Its spans still have ids.
func Discard() *Telemetry {
	return &Telemetry{
		Log:        slog.New(slog.DiscardHandler),
		Tracers:    sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()), sdktrace.WithResource(resource.Empty())),
		Meters:     metricnoop.NewMeterProvider(),
		Propagator: propagation.TraceContext{},
		registry:   prometheus.NewRegistry(),
	}
}

// MetricsHandler answers Prometheus with this service's metrics.
func (t *Telemetry) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(t.Log.Handler(), slog.LevelWarn)})
}

// Shutdown sends what is left and ends; again, it does nothing. Logs keep working.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var all []error
	t.stopped.Do(func() {
		for _, stop := range t.stop {
			all = append(all, stop(ctx))
		}
	})
	return errors.Join(all...)
}

func (t *Telemetry) startTraces(ctx context.Context, set settings, res *resource.Resource, o options) error {
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.NeverSample())}
	if set.exports() {
		exporter, err := set.exporter(ctx)
		if err != nil {
			return fmt.Errorf("trace exporter: %w", err)
		}
		opts = append(opts, sdktrace.WithSampler(set.sampler()), sdktrace.WithBatcher(newQuietExporter(exporter, t.Log), batchLimits()...))
	}
	if len(o.processors) > 0 {
		opts = append(opts, sdktrace.WithSampler(sdktrace.AlwaysSample()))
	}
	for _, p := range o.processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	provider := sdktrace.NewTracerProvider(opts...)
	t.Tracers = provider
	t.stop = append(t.stop, provider.Shutdown)
	return nil
}

func (t *Telemetry) startMetrics(set settings, res *resource.Resource) error {
	t.registry = prometheus.NewRegistry()
	if set.Disabled {
		t.Meters = metricnoop.NewMeterProvider()
		return nil
	}
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("metrics exporter: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(exporter), sdkmetric.WithView(withoutHost()))
	t.Meters = provider
	t.stop = append(t.stop, provider.Shutdown)
	return nil
}

// withoutHost drops the attributes of HTTP server metrics that a caller chooses freely, the Host header above all: each
// value would be a series of its own.
func withoutHost() sdkmetric.View {
	return sdkmetric.NewView(
		sdkmetric.Instrument{Name: "http.server.*"},
		sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("server.address", "server.port", "client.address", "user_agent.original")},
	)
}
