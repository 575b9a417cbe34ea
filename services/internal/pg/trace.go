package pg

import (
	"context"
	"strings"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/telemetry"
)

// tracer narrows otelpgx's to what is worth a span: statements. (Connecting, preparing and acquiring are metrics.)
type tracer struct {
	pgx.QueryTracer
	pgx.BatchTracer
	pgx.CopyFromTracer
}

func newTracer(tel *telemetry.Telemetry, database string) pgx.QueryTracer {
	t := otelpgx.NewTracer(
		otelpgx.WithTracerProvider(tel.Tracers),
		otelpgx.WithMeterProvider(tel.Meters),
		otelpgx.WithSpanNameFunc(spanName),
		otelpgx.WithDisableConnectionDetailsInAttributes(),
		otelpgx.WithTracerAttributes(attribute.String("db.namespace", database)),
	)
	return tracer{t, t, t}
}

// TraceBatchStart gives the span of statements that are sent together a name.
func (t tracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	ctx = t.BatchTracer.TraceBatchStart(ctx, conn, data)
	trace.SpanFromContext(ctx).SetName("batch")
	return ctx
}

// spanName is the verb and the first table: "SELECT notes", "INSERT outbox", "COMMIT".
func spanName(sql string) string {
	var verb, before string
	for word := range strings.FieldsSeq(sql) {
		switch {
		case verb == "":
			verb = strings.ToUpper(strings.TrimRight(word, ";"))
			if verb == "UPDATE" {
				before = verb
			}
			if verb == "BEGIN" {
				return verb
			}
		case before != "":
			return verb + " " + tableName(word)
		case strings.EqualFold(word, "from"), strings.EqualFold(word, "into"):
			before = word
		}
	}
	return verb
}

// tableName strips quotes, schema and what is glued behind the name.
func tableName(word string) string {
	word, _, _ = strings.Cut(word, "(")
	word = strings.Trim(word, `";,)`)
	if i := strings.LastIndexByte(word, '.'); i >= 0 {
		word = strings.Trim(word[i+1:], `"`)
	}
	return word
}
