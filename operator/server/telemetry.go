package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracing is the standard settings of OpenTelemetry that the operator knows. Without an endpoint traces are off.
type Tracing struct {
	Disabled       bool    `env:"OTEL_SDK_DISABLED" should:"true or false"`
	Exporter       string  `env:"OTEL_TRACES_EXPORTER" should:"otlp or none"`
	Endpoint       string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" should:"a URL such as http://jaeger:4318"`
	TracesEndpoint string  `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" should:"a URL such as http://jaeger:4318/v1/traces"`
	Sampler        string  `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_always_on" should:"always_on, always_off, traceidratio, or one of them after parentbased_"`
	SamplerArg     float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"1" should:"a number from 0 to 1"`
	ServiceName    string  `env:"OTEL_SERVICE_NAME" envDefault:"operator" should:"a name"`
	Attributes     string  `env:"OTEL_RESOURCE_ATTRIBUTES" should:"a list such as key=value,key2=value2"`
}

const exportTimeout = 5 * time.Second

func (t *Tracing) validate() []error {
	var all []error
	check := func(right bool, name string) {
		if !right {
			all = append(all, wrong(name, "has a value that cannot be used"))
		}
	}
	check(t.Exporter == "" || t.Exporter == "otlp" || t.Exporter == "none", "OTEL_TRACES_EXPORTER")
	check(t.Endpoint == "" || isURL(t.Endpoint), "OTEL_EXPORTER_OTLP_ENDPOINT")
	check(t.TracesEndpoint == "" || isURL(t.TracesEndpoint), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	_, known := t.root()
	check(known, "OTEL_TRACES_SAMPLER")
	check(t.SamplerArg >= 0 && t.SamplerArg <= 1, "OTEL_TRACES_SAMPLER_ARG")
	_, err := t.attributes("")
	check(err == nil, "OTEL_RESOURCE_ATTRIBUTES")
	return all
}

func (t *Tracing) root() (sdktrace.Sampler, bool) {
	switch strings.TrimPrefix(t.Sampler, "parentbased_") {
	case "always_on":
		return sdktrace.AlwaysSample(), true
	case "always_off":
		return sdktrace.NeverSample(), true
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(t.SamplerArg), true
	}
	return nil, false
}

func (t *Tracing) attributes(version string) ([]attribute.KeyValue, error) {
	all := []attribute.KeyValue{
		attribute.String("telemetry.sdk.language", "go"),
		attribute.String("service.namespace", "noteworks"),
		attribute.String("service.version", version),
	}
	for item := range strings.SplitSeq(t.Attributes, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		key, value, ok := strings.Cut(item, "=")
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || strings.TrimSpace(key) == "" {
			return nil, fmt.Errorf("not key=value: %w", err)
		}
		all = append(all, attribute.String(strings.TrimSpace(key), plain))
	}
	return append(all, attribute.String("service.name", t.ServiceName)), nil
}

// endpoint follows the OTLP rule: that of traces is taken as it is, the general one gets /v1/traces.
func (t *Tracing) endpoint() string {
	if t.TracesEndpoint != "" || t.Endpoint == "" {
		return t.TracesEndpoint
	}
	return strings.TrimSuffix(t.Endpoint, "/") + "/v1/traces"
}

// start makes the operator's tracers. Off, their spans still have ids, for the logs of those who are called.
func (t *Tracing) start(ctx context.Context, version string) (*sdktrace.TracerProvider, error) {
	attributes, err := t.attributes(version)
	if err != nil {
		return nil, err
	}
	about := sdktrace.WithResource(resource.NewSchemaless(attributes...))
	if t.Disabled || t.Exporter == "none" || t.endpoint() == "" {
		return sdktrace.NewTracerProvider(about, sdktrace.WithSampler(sdktrace.NeverSample())), nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(t.endpoint()), otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("trace exporter: %w", err)
	}
	sampler, _ := t.root() // validated
	return sdktrace.NewTracerProvider(about, sdktrace.WithBatcher(exporter), sdktrace.WithSampler(sdktrace.ParentBased(sampler))), nil
}

// newLog writes JSON lines that lead to their traces.
func newLog(to io.Writer, level slog.Level) *slog.Logger {
	return slog.New(traced{slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level})}).With(slog.String("service", "operator"))
}

// traced adds the ids of the context's span, and has a word with what the library calls an error and is none.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && expected(r) {
		r.Level = slog.LevelWarn
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// expected are events that the API server does not take, as it does in a namespace that is being deleted, and the lease that is given back at a stop.
func expected(r slog.Record) bool {
	if r.Message == "Server rejected event (will not retry!)" {
		return true
	}
	is := false
	r.Attrs(func(a slog.Attr) bool {
		is = a.Key == "err" && a.Value.String() == "leader election lost"
		return !is
	})
	return is && r.Message == "error received after stop sequence was engaged"
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
