package inbox_test

import (
	"context"
	"io"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	settings "noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

// One trace from the transaction over two events and two handlers, through a database that records its statements.
func TestOneTraceFromTheTransactionToTheLastHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop(t, w.outbox)
	spans := spantest.New()
	tel, err := telemetry.New(t.Context(), "note", settings.Map(nil), io.Discard, telemetry.WithSpanProcessor(spans))
	if err != nil {
		t.Fatal(err)
	}
	db := w.Open(t, w.Config, tel)
	t.Cleanup(db.Close)
	w.DB, w.outbox = db, nil
	w.outbox = w.relay(t, tel)
	w.consume(t, configOf("note-a"), tel, func(_ context.Context, tx inbox.Tx, value string) error {
		if value == "question" {
			return w.outbox.Append(tx.DB, newEvent(t, workspace, "b", "answer"))
		}
		return nil
	})
	ctx, root := tel.Tracers.Tracer("test").Start(t.Context(), "PUT /api/v1/notes/{id}")
	err = db.InWorkspace(ctx, workspace, func(tx *gorm.DB) error {
		return w.outbox.Append(tx, newEvent(t, workspace, "a", "question"))
	})
	root.End()
	if err != nil {
		t.Fatal(err)
	}
	const publish, process = "publish note.v1.NoteChanged", "process note.v1.NoteChanged"
	path := spans.RequirePath(t, "PUT /api/v1/notes/{id}", publish, process, publish, process)
	spans.RequirePath(t, "PUT /api/v1/notes/{id}", publish, process, "INSERT effects")
	requireLink(t, path[2], path[1])
	for _, s := range path {
		if s.SpanContext().TraceID() != root.SpanContext().TraceID() {
			t.Errorf("%s is in another trace", s.Name())
		}
	}
	if path[1].SpanKind() != trace.SpanKindProducer || path[2].SpanKind() != trace.SpanKindConsumer {
		t.Errorf("kinds %v and %v", path[1].SpanKind(), path[2].SpanKind())
	}
}

func configOf(name string) inbox.Config {
	cfg := inbox.Config{Consumer: name, Stream: event.StreamNote}
	return cfg
}

func requireLink(t *testing.T, from, to sdktrace.ReadOnlySpan) {
	t.Helper()
	for _, link := range from.Links() {
		if link.SpanContext.SpanID() == to.SpanContext().SpanID() {
			return
		}
	}
	t.Errorf("%s is not linked to %s", from.Name(), to.Name())
}
