package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of spans and metrics that are our own.
const Scope = "noteworks.dev"

// Tracer is the provider's tracer for our own spans.
func (t *Telemetry) Tracer() trace.Tracer { return t.Tracers.Tracer(Scope) }

// TraceID is the trace id of ctx in hex, or "" without one.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}
