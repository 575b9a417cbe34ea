package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/internal/version"
)

func start(t *testing.T, logs io.Writer, set map[string]string, opts ...telemetry.Option) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), "note", config.Map(set), logs, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func TestNothingSetMeansLogsAndIDsButNoTraces(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	tel := start(t, &logs, nil)

	ctx, span := tel.Tracer().Start(t.Context(), "work")
	defer span.End()
	if span.IsRecording() || !span.SpanContext().IsValid() || span.SpanContext().IsSampled() {
		t.Errorf("want a span with ids that records nothing, got %+v", span.SpanContext())
	}
	tel.Log.InfoContext(ctx, "note shared", telemetry.NoteID("n1"), telemetry.Role("viewer"), telemetry.Err(errors.New("boom")))

	var line map[string]any
	if err := json.Unmarshal(logs.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, &logs)
	}
	want := map[string]any{
		"msg": "note shared", "level": "INFO", "service": "note", "note_id": "n1", "role": "viewer", "error": "boom",
		"trace_id": telemetry.TraceID(ctx), "span_id": span.SpanContext().SpanID().String(),
	}
	for k, v := range want {
		if line[k] != v {
			t.Errorf("%s: got %v, want %v", k, line[k], v)
		}
	}
}

func TestLogSettings(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	tel := start(t, &logs, map[string]string{"LOG_FORMAT": "text", "LOG_LEVEL": "warn", "OTEL_SERVICE_NAME": "other"})
	tel.Log.Info("unheard")
	tel.Log.With("a", 1).WithGroup("g").Warn("heard", "b", 2)
	if got := logs.String(); strings.Contains(got, "unheard") || !strings.Contains(got, "msg=heard service=other a=1 g.b=2") {
		t.Errorf("got %q", got)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "OTEL_TRACES_EXPORTER": "jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL": "udp",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "::", "OTEL_TRACES_SAMPLER": "often",
		"OTEL_TRACES_SAMPLER_ARG": "2", "OTEL_RESOURCE_ATTRIBUTES": "team", "OTEL_EXPORTER_OTLP_HEADERS": "=x", "OTEL_SDK_DISABLED": "maybe",
	} {
		_, err := telemetry.New(t.Context(), "note", config.Map(map[string]string{name: value}), io.Discard)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "should be") {
			t.Errorf("%s=%s: got %v", name, value, err)
		}
	}
}

// collector takes spans as an OTLP collector over HTTP does.
type collector struct {
	*httptest.Server
	got chan *tracepb.ExportTraceServiceRequest
}

func startCollector(t *testing.T, status int) collector {
	t.Helper()
	c := collector{got: make(chan *tracepb.ExportTraceServiceRequest, 100)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		req := &tracepb.ExportTraceServiceRequest{}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Team") != "a b" || proto.Unmarshal(body, req) != nil {
			t.Errorf("not an export: %v %s %v", err, r.URL.Path, r.Header)
		}
		c.got <- req
		w.WriteHeader(status)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c collector) settings(extra ...string) map[string]string {
	set := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_HEADERS": "X-Team=a%20b",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=loses",
	}
	for i := 0; i+1 < len(extra); i += 2 {
		set[extra[i]] = extra[i+1]
	}
	return set
}

func TestSpansReachTheCollectorWithTheirService(t *testing.T) {
	t.Parallel()
	c := startCollector(t, http.StatusOK)
	tel := start(t, io.Discard, c.settings())
	_, span := tel.Tracer().Start(t.Context(), "work")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	req := <-c.got
	rs := req.GetResourceSpans()[0]
	attrs := map[string]string{}
	for _, kv := range rs.GetResource().GetAttributes() {
		attrs[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	if attrs["service.name"] != "note" || attrs["deployment.environment.name"] != "test" || attrs["service.version"] != version.Of() {
		t.Errorf("resource: %v", attrs)
	}
	if got := rs.GetScopeSpans()[0].GetSpans()[0].GetName(); got != "work" {
		t.Errorf("span: %q", got)
	}
}

func TestDisabledOrNoneExportsNothing(t *testing.T) {
	t.Parallel()
	for _, set := range [][]string{{"OTEL_SDK_DISABLED", "true"}, {"OTEL_TRACES_EXPORTER", "none"}, {"OTEL_TRACES_SAMPLER", "always_off"}} {
		c := startCollector(t, http.StatusOK)
		tel := start(t, io.Discard, c.settings(set...))
		_, span := tel.Tracer().Start(t.Context(), "work")
		span.End()
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if span.IsRecording() || len(c.got) != 0 {
			t.Errorf("%v: something was exported", set)
		}
	}
}

// A collector that refuses costs spans and one line, not an error of the program.
func TestAFailingCollectorIsComplainedAboutOnce(t *testing.T) {
	t.Parallel()
	c := startCollector(t, http.StatusBadRequest)
	var logs bytes.Buffer
	tel := start(t, &logs, c.settings())
	for range 2000 { // several batches
		_, span := tel.Tracer().Start(t.Context(), "work")
		span.End()
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.got) < 2 || strings.Count(logs.String(), "spans not exported") != 1 || strings.Contains(logs.String(), "ERROR") {
		t.Errorf("after %d exports: %s", len(c.got), &logs)
	}
}

const forced = "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"

func TestThePublicDoorKeepsTheTraceIDAndDecidesItself(t *testing.T) {
	t.Parallel()
	c := startCollector(t, http.StatusOK)
	tests := []struct {
		name, sampler, arg string
		public, sampled    bool
	}{
		{"inside follows its parent", "parentbased_always_off", "1", false, true},
		{"a stranger cannot force it", "parentbased_always_off", "1", true, false},
		{"nor by choosing a trace id", "parentbased_traceidratio", "0", true, false},
		{"nor forbid it", "parentbased_always_on", "1", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tel := start(t, io.Discard, c.settings("OTEL_TRACES_SAMPLER", tt.sampler, "OTEL_TRACES_SAMPLER_ARG", tt.arg))
			header := forced
			if tt.sampled && tt.public {
				header = strings.TrimSuffix(forced, "01") + "00"
			}
			ctx := tel.Propagator.Extract(t.Context(), propagation.MapCarrier{"traceparent": header})
			if tt.public {
				ctx = telemetry.PublicDoor(ctx)
			}
			ctx, span := tel.Tracer().Start(ctx, "request")
			_, child := tel.Tracer().Start(ctx, "work")
			defer span.End()
			defer child.End()
			if got := span.SpanContext(); got.TraceID().String() != forced[3:35] || got.IsSampled() != tt.sampled {
				t.Errorf("got %s sampled %v", got.TraceID(), got.IsSampled())
			}
			if child.SpanContext().IsSampled() != tt.sampled {
				t.Error("a child should follow its own parent")
			}
		})
	}
}

func TestOnlyTraceContextPropagates(t *testing.T) {
	t.Parallel()
	tel := telemetry.Discard()
	carrier := propagation.MapCarrier{}
	ctx := tel.Propagator.Extract(t.Context(), propagation.MapCarrier{"traceparent": forced, "baggage": "user=root"})
	tel.Propagator.Inject(ctx, carrier)
	if carrier["traceparent"] != forced || carrier["baggage"] != "" {
		t.Errorf("got %v", carrier)
	}
}

func TestASpanProcessorSeesEverything(t *testing.T) {
	t.Parallel()
	rec := spantest.New()
	tel := start(t, io.Discard, map[string]string{"OTEL_TRACES_SAMPLER": "always_off"}, telemetry.WithSpanProcessor(rec))
	ctx := tel.Propagator.Extract(t.Context(), propagation.MapCarrier{"traceparent": strings.TrimSuffix(forced, "01") + "00"})
	_, span := tel.Tracer().Start(telemetry.PublicDoor(ctx), "request")
	span.End()
	if len(rec.Spans()) != 1 {
		t.Error("the span is missing")
	}
}

func TestMetricsOfTwoServicesKeepApartAndTheHostHeaderMakesNoSeries(t *testing.T) {
	t.Parallel()
	a, b := start(t, io.Discard, nil), start(t, io.Discard, nil)
	counter, err := a.Meters.Meter("test").Int64Counter("notes.shared")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	duration, err := a.Meters.Meter("test").Float64Histogram("http.server.request.duration")
	if err != nil {
		t.Fatal(err)
	}
	duration.Record(t.Context(), 1, metric.WithAttributes(attribute.String("server.address", "evil.test"), attribute.String("http.route", "/x")))

	inA, inB := scrape(t, a), scrape(t, b)
	if !strings.Contains(inA, "notes_shared_total 3") || !strings.Contains(inA, "go_goroutines") || !strings.Contains(inA, `http_route="/x"`) {
		t.Errorf("missing in a:\n%s", inA)
	}
	if want := `service_version="` + version.Of() + `"`; !strings.Contains(inA, "target_info{") || !strings.Contains(inA, want) {
		t.Errorf("target_info does not tell %s:\n%s", want, inA)
	}
	if strings.Contains(inB, "notes_shared") || strings.Contains(inA, "evil.test") {
		t.Error("b has what is a's, or a stranger named a series")
	}
}

func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestDiscardIsWhole(t *testing.T) {
	t.Parallel()
	tel := telemetry.Discard()
	ctx, span := tel.Tracer().Start(t.Context(), "x")
	span.End()
	tel.Log.InfoContext(ctx, "nobody hears")
	if telemetry.TraceID(ctx) == "" || scrape(t, tel) != "" || tel.Shutdown(t.Context()) != nil {
		t.Error("it should do nothing, completely")
	}
}
