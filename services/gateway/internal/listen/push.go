package listen

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"noteworks.dev/services/internal/event"
)

// typeOf is an event's type: the full name of its message.
func typeOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// pushed is the last span of a change's trace: from the arrival of its event to the moment the writers of the sockets have it.
func (l *Listener) pushed(e event.Event, sockets int, begin time.Time) {
	ctx := l.tel.Propagator.Extract(context.Background(), propagation.MapCarrier{
		"traceparent": e.TraceParent,
		"tracestate":  e.TraceState,
	})
	published := trace.SpanContextFromContext(ctx)
	opts := []trace.SpanStartOption{
		trace.WithTimestamp(begin),
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.name", "push"),
			attribute.String("messaging.message.id", e.ID),
			attribute.String("noteworks.event.type", e.Type),
			attribute.String("noteworks.workspace.id", e.WorkspaceID),
			attribute.Int("noteworks.live.sockets", sockets),
		),
	}
	if published.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: published}))
	}
	_, span := l.tracer.Start(ctx, "push "+e.Type, opts...)
	span.End()
}
