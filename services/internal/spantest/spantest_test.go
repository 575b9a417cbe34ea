package spantest_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

func service(t *testing.T, name string, rec *spantest.Recorder) trace.Tracer {
	t.Helper()
	tel, err := telemetry.New(t.Context(), name, config.Map(nil), io.Discard, telemetry.WithSpanProcessor(rec))
	if err != nil {
		t.Fatal(err)
	}
	return tel.Tracer()
}

// span records name under ctx and returns the context of its children.
func span(ctx context.Context, tracer trace.Tracer, name string) context.Context {
	ctx, s := tracer.Start(ctx, name, trace.WithAttributes(attribute.String("of", name)))
	s.End()
	return ctx
}

func TestAPathLeadsThroughSeveralServices(t *testing.T) {
	t.Parallel()
	rec := spantest.New()
	note, gateway := service(t, "note", rec), service(t, "gateway", rec)
	put := span(t.Context(), gateway, "PUT")
	sql := span(span(put, note, "handler"), note, "sql")
	span(put, note, "beside")
	span(t.Context(), note, "publish") // of another trace
	go span(sql, note, "publish")      // later

	path := rec.RequirePath(t, "PUT", "sql", "publish")
	if got := spantest.Attribute(path[1], "of"); len(path) != 3 || got != "sql" {
		t.Errorf("got %d spans, the second of %q", len(path), got)
	}
	want := fmt.Sprintf("trace %s\n  PUT (gateway)\n    handler (note)\n      sql (note)\n        publish (note)\n    beside (note)\n", path[0].SpanContext().TraceID())
	if got := rec.Tree(path[0].SpanContext().TraceID()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWhatIsNoPath(t *testing.T) {
	t.Parallel()
	rec := spantest.New()
	tracer := service(t, "note", rec)
	a := span(t.Context(), tracer, "a")
	span(a, tracer, "b")
	span(a, tracer, "c")
	for _, names := range [][]string{{"b", "c"}, {"b", "a"}, {"a", "a"}, {"a", "b", "c"}, {"x"}, {}} {
		if got := spantest.Path(rec.Spans(), names...); got != nil {
			t.Errorf("%q is no path, got %s", names, spantest.Tree(got, got[0].SpanContext().TraceID()))
		}
	}
	rec.Reset()
	if len(rec.Spans()) != 0 {
		t.Error("there is something left after a reset")
	}
}

func TestARepeatedNameIsADescendantOfItself(t *testing.T) {
	t.Parallel()
	rec := spantest.New()
	tracer := service(t, "note", rec)
	span(span(span(t.Context(), tracer, "call"), tracer, "x"), tracer, "call")
	rec.RequirePath(t, "call", "call")
}

// A span without its recorded parent is a root of the tree, so that a hole shows.
func TestAHoleInTheTraceShowsInTheTree(t *testing.T) {
	t.Parallel()
	rec := spantest.New()
	tracer := service(t, "note", rec)
	ctx, open := tracer.Start(t.Context(), "never ends")
	defer open.End()
	span(ctx, tracer, "orphan")
	got := spantest.Tree(rec.Spans(), open.SpanContext().TraceID())
	if !strings.HasSuffix(got, "\n  orphan (note)\n") {
		t.Errorf("got %q", got)
	}
}

var _ sdktrace.SpanProcessor = (*spantest.Recorder)(nil)
