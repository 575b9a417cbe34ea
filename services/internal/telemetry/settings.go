package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/version"
)

// settings are OpenTelemetry's standard ones as far as we have them, and two of our own for logs.
type settings struct {
	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"INFO"`
	LogFormat string     `env:"LOG_FORMAT" should:"json or text"`

	Disabled       bool          `env:"OTEL_SDK_DISABLED"`
	ServiceName    string        `env:"OTEL_SERVICE_NAME"`
	Attributes     string        `env:"OTEL_RESOURCE_ATTRIBUTES" should:"a list such as deployment.environment.name=test,team=a"`
	Exporter       string        `env:"OTEL_TRACES_EXPORTER" should:"otlp or none"`
	Endpoint       string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	TracesEndpoint string        `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	Protocol       string        `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf"`
	TracesProtocol string        `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"`
	Headers        config.Secret `env:"OTEL_EXPORTER_OTLP_HEADERS"`
	Sampler        string        `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_always_on"`
	SamplerArg     float64       `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"1" should:"a number from 0 to 1"`
}

const (
	protoHTTP = "http/protobuf"
	protoGRPC = "grpc"

	exportTimeout = 5 * time.Second
)

// Validate reports what the types alone do not catch.
func (s *settings) Validate() error {
	return errors.Join(
		oneOf("LOG_FORMAT", s.LogFormat, "", "json", "text"),
		oneOf("OTEL_TRACES_EXPORTER", s.Exporter, "", "otlp", "none"),
		oneOf("OTEL_EXPORTER_OTLP_PROTOCOL", s.Protocol, protoHTTP, protoGRPC),
		oneOf("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", s.TracesProtocol, "", protoHTTP, protoGRPC),
		oneOf("OTEL_TRACES_SAMPLER", s.Sampler, samplers()...),
		endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", s.Endpoint),
		endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", s.TracesEndpoint),
		list("OTEL_EXPORTER_OTLP_HEADERS", s.Headers.Reveal()),
		list("OTEL_RESOURCE_ATTRIBUTES", s.Attributes),
		s.validRatio(),
	)
}

func (s *settings) validRatio() error {
	if s.SamplerArg >= 0 && s.SamplerArg <= 1 {
		return nil
	}
	return &config.SettingError{Name: "OTEL_TRACES_SAMPLER_ARG", Problem: "is out of range", Should: "a number from 0 to 1"}
}

func oneOf(name, value string, allowed ...string) error {
	var said []string
	for _, a := range allowed {
		if value == a {
			return nil
		}
		if a != "" {
			said = append(said, a)
		}
	}
	return &config.SettingError{Name: name, Problem: "has an unknown value", Should: "one of " + strings.Join(said, ", ")}
}

func endpoint(name, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return nil
	}
	return &config.SettingError{Name: name, Problem: "is not a URL", Should: "a URL such as http://collector:4318"}
}

func list(name, value string) error {
	if _, err := pairs(value); err != nil {
		return &config.SettingError{Name: name, Problem: "is not such a list", Should: "a list such as key=value,other=value"}
	}
	return nil
}

// pairs reads OpenTelemetry's "k=v,k2=v2", with percent-encoded values.
func pairs(value string) (map[string]string, error) {
	all := map[string]string{}
	for item := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		k, v, ok := strings.Cut(item, "=")
		if !ok || strings.TrimSpace(k) == "" {
			return nil, errors.New("not key=value")
		}
		plain, err := url.PathUnescape(strings.TrimSpace(v))
		if err != nil {
			return nil, err
		}
		all[strings.TrimSpace(k)] = plain
	}
	return all, nil
}

func (s *settings) resource() (*resource.Resource, error) {
	extra, err := pairs(s.Attributes)
	if err != nil {
		return nil, err
	}
	attrs := []attribute.KeyValue{
		attribute.String("telemetry.sdk.language", "go"),
		attribute.String("service.namespace", "noteworks"),
		attribute.String("service.version", version.Of()),
	}
	for k, v := range extra {
		attrs = append(attrs, attribute.String(k, v))
	}
	attrs = append(attrs, attribute.String("service.name", s.ServiceName)) // last wins
	return resource.NewSchemaless(attrs...), nil
}

// exports reports whether a collector is named. Nothing set means that traces are off.
func (s *settings) exports() bool {
	switch {
	case s.Disabled || s.Exporter == "none":
		return false
	case s.Exporter == "otlp":
		return true
	}
	return s.Endpoint != "" || s.TracesEndpoint != ""
}

func (s *settings) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	headers, err := pairs(s.Headers.Reveal())
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	protocol := s.Protocol
	if s.TracesProtocol != "" {
		protocol = s.TracesProtocol
	}
	if protocol == protoGRPC {
		return otlptracegrpc.New(ctx,
			otlptracegrpc.WithEndpointURL(s.grpcEndpoint()),
			otlptracegrpc.WithHeaders(headers),
			otlptracegrpc.WithTimeout(exportTimeout))
	}
	return otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(s.httpEndpoint()),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithTimeout(exportTimeout))
}

// httpEndpoint follows the OTLP rule: the traces endpoint is taken as it is, the general one gets /v1/traces.
func (s *settings) httpEndpoint() string {
	switch {
	case s.TracesEndpoint != "":
		return s.TracesEndpoint
	case s.Endpoint != "":
		return strings.TrimSuffix(s.Endpoint, "/") + "/v1/traces"
	}
	return "http://localhost:4318/v1/traces"
}

func (s *settings) grpcEndpoint() string {
	switch {
	case s.TracesEndpoint != "":
		return s.TracesEndpoint
	case s.Endpoint != "":
		return s.Endpoint
	}
	return "http://localhost:4317"
}
