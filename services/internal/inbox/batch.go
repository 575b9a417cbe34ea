package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/telemetry"
)

// job is one delivery on its way through a batch.
type job struct {
	event.Delivery
	handle  handler // nil: of an unknown type
	span    trace.Span
	handled bool // by the transaction under way
}

// kind is the event type for metrics. A stranger's must not become a series.
func (j *job) kind() string {
	if j.handle == nil {
		return "unknown"
	}
	return j.Event.Type
}

// process deals with all of a batch, and reports whether the database was there for it.
func (w *worker) process(ctx context.Context, batch []event.Delivery) (available bool) {
	jobs := make([]*job, 0, len(batch))
	for _, d := range batch {
		if d.Err != nil {
			w.fail(ctx, &job{Delivery: d}, Park(d.Err))
			continue
		}
		jobs = append(jobs, &job{Delivery: d, handle: w.handlers[d.Event.Type]})
	}
	err := w.together(ctx, jobs)
	if err == nil {
		return true
	}
	if len(jobs) == 1 {
		w.fail(ctx, jobs[0], err)
		return !passing(err)
	}
	return w.oneByOne(ctx, jobs)
}

// oneByOne keeps an event that fails from failing those that share its batch.
func (w *worker) oneByOne(ctx context.Context, jobs []*job) (available bool) {
	for i, j := range jobs {
		err := w.together(ctx, jobs[i:i+1])
		if err == nil {
			continue
		}
		w.fail(ctx, j, err)
		if passing(err) && ctx.Err() != nil {
			return false
		}
		available = available || !passing(err)
	}
	return available
}

// together handles jobs in one transaction, and acknowledges them after its commit.
func (w *worker) together(ctx context.Context, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	for _, j := range jobs {
		w.begin(j)
	}
	if len(jobs) == 1 { // with one, the transaction's own statements belong to its trace
		ctx = trace.ContextWithSpan(ctx, jobs[0].span)
	}
	err := w.transaction(ctx, jobs)
	for _, j := range jobs {
		end(j, err)
	}
	if err != nil {
		return err
	}
	for _, j := range jobs {
		w.settled(ctx, j)
	}
	return nil
}

// transaction runs effect. Jobs of one workspace, which is the rule, enter it with the transaction's beginning and need no round trip for that.
func (w *worker) transaction(ctx context.Context, jobs []*job) error {
	first := jobs[0].Event.WorkspaceID
	for _, j := range jobs {
		if j.Event.WorkspaceID != first {
			return w.db.Tx(ctx, func(tx *gorm.DB) error { return w.effect(tx, jobs, "") })
		}
	}
	return w.db.InWorkspace(ctx, first, func(tx *gorm.DB) error { return w.effect(tx, jobs, first) })
}

// effect is what the transaction does; workspace is the one it begins in.
func (w *worker) effect(tx *gorm.DB, jobs []*job, workspace string) error {
	fresh, err := w.claim(tx, jobs)
	if err != nil {
		return err
	}
	var off gathered
	for _, j := range jobs {
		j.handled = false
		if j.handle == nil || !fresh[j.Event.ID] {
			continue
		}
		delete(fresh, j.Event.ID) // the same event twice in one batch
		if j.Event.WorkspaceID != workspace {
			if err := w.finish(tx, &off); err != nil {
				return err
			}
			workspace = j.Event.WorkspaceID
			if err := pg.SwitchWorkspace(tx, workspace); err != nil {
				return err
			}
		}
		if err := w.call(tx, j, &off); err != nil {
			return err
		}
		j.handled = true
	}
	if err := w.finish(tx, &off); err != nil {
		return err
	}
	return w.mark(tx, jobs)
}

func (w *worker) claim(tx *gorm.DB, jobs []*job) (map[string]bool, error) {
	ids := make([]string, 0, len(jobs))
	seen := make(map[string]bool, len(jobs)) // one statement can not meet a row twice
	for _, j := range jobs {
		if j.handle != nil && !seen[j.Event.ID] {
			seen[j.Event.ID] = true
			ids = append(ids, j.Event.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return w.ledger.claim(tx, ids, w.replay)
}

func (w *worker) mark(tx *gorm.DB, jobs []*job) error {
	if w.replay {
		return nil
	}
	newest := jobs[0]
	for _, j := range jobs {
		if j.Seq > newest.Seq {
			newest = j
		}
	}
	return w.ledger.mark(tx, newest.Mark())
}

// call runs the handler in its span.
func (w *worker) call(tx *gorm.DB, j *job, off *gathered) error {
	ctx := trace.ContextWithSpan(tx.Statement.Context, j.span)
	return w.guard(ctx, func() error { return j.handle(ctx, Tx{DB: tx.WithContext(ctx), Event: j.Event, gathered: off}) },
		telemetry.EventType(j.Event.Type), telemetry.EventID(j.Event.ID))
}

// finish does what handlers have put off.
func (w *worker) finish(tx *gorm.DB, off *gathered) error {
	return w.guard(tx.Statement.Context, off.finish)
}

// guard makes what do panics with an error like others.
func (w *worker) guard(ctx context.Context, do func() error, about ...slog.Attr) (err error) {
	defer func() {
		if value := recover(); value != nil {
			w.log.LogAttrs(ctx, slog.LevelError, "handler panicked",
				append(about, slog.Any("panic", value), slog.String("stack", string(debug.Stack())))...)
			err = &panicError{value}
		}
	}()
	return do()
}

// begin opens the span of a job, which end ends.
func (w *worker) begin(j *job) {
	if j.handle == nil {
		j.span = trace.SpanFromContext(context.Background())
		return
	}
	j.span = w.span(j)
}

// span is a child of the publish span, and linked to it, because queues are followed by links in some tools.
func (w *worker) span(j *job) trace.Span {
	carrier := propagation.MapCarrier{"traceparent": j.Event.TraceParent, "tracestate": j.Event.TraceState}
	ctx := w.tel.Propagator.Extract(context.Background(), carrier)
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	if publish := trace.SpanContextFromContext(ctx); publish.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: publish}))
	}
	_, span := w.tracer.Start(ctx, "process "+j.Event.Type, opts...)
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.consumer.group.name", w.cfg.Consumer),
			attribute.String("messaging.message.id", j.Event.ID),
			attribute.String("event_type", j.Event.Type),
			attribute.Int64("messaging.delivery_attempt", int64(j.Attempt)),
		)
	}
	return span
}

func end(j *job, err error) {
	switch {
	case err != nil:
		j.span.SetStatus(codes.Error, err.Error())
	case !j.handled && j.span.IsRecording():
		j.span.SetAttributes(attribute.Bool("noteworks.duplicate", true))
	}
	j.span.End()
}

// settled acknowledges what the transaction dealt with. An acknowledgement that fails means one more delivery.
func (w *worker) settled(ctx context.Context, j *job) {
	w.failures.forget(j.Event.ID)
	w.meter.settled(ctx, j)
	if err := w.Inbox.ack(j.Delivery); err != nil {
		w.log.DebugContext(ctx, "not acknowledged", telemetry.EventID(j.Event.ID), telemetry.Err(err))
	}
}

// passing tells trouble that has nothing to do with the event: it is tried again until it works.
func passing(err error) bool {
	if shouldPark(err) {
		return false
	}
	switch errs.KindOf(err) {
	case errs.KindUnavailable, errs.KindTimeout, errs.KindCanceled:
		return true
	}
	return false
}

// fail decides what becomes of an event that could not be handled.
func (w *worker) fail(ctx context.Context, j *job, err error) {
	if ctx.Err() != nil {
		return // stopped by force: it comes again after AckWait
	}
	if passing(err) {
		w.again(ctx, slog.LevelDebug, j, err, w.passingDelay(j)) // consume says it once for all of a batch
		return
	}
	n := w.failures.add(j.Event.ID)
	if shouldPark(err) || n > w.tries(err) {
		w.park(ctx, j, err, n)
		return
	}
	w.again(ctx, slog.LevelWarn, j, err, w.cfg.Retries[n-1])
}

// tries is how many further tries an event gets after this error.
func (w *worker) tries(err error) int {
	var panicked *panicError
	if errors.As(err, &panicked) {
		return min(w.cfg.PanicRetries, len(w.cfg.Retries))
	}
	return len(w.cfg.Retries)
}

// passingDelay grows with the deliveries, but stays short: when the trouble is over, what waited should come soon.
func (w *worker) passingDelay(j *job) time.Duration {
	const atMost = 2 * time.Second
	attempt := int(min(j.Attempt, uint64(len(w.cfg.Retries))))
	return min(w.cfg.Retries[max(attempt-1, 0)], atMost)
}

func (w *worker) again(ctx context.Context, level slog.Level, j *job, err error, after time.Duration) {
	w.meter.retried.Add(ctx, 1, w.meter.of(j.kind()))
	w.log.Log(ctx, level, "event will be tried again", telemetry.EventType(j.Event.Type), telemetry.EventID(j.Event.ID),
		slog.Duration("after", after), telemetry.Err(err))
	_ = j.Retry(after) // without it, it comes again after AckWait
}

// park puts the event away. It is acknowledged only when both the dead-letter stream and the inbox have it.
func (w *worker) park(ctx context.Context, j *job, cause error, attempts int) {
	err := w.bus.Park(ctx, w.cfg.Consumer, j.Delivery, cause.Error(), attempts)
	if err == nil {
		var mark *event.Mark
		if !w.replay {
			m := j.Mark()
			mark = &m
		}
		err = w.ledger.park(ctx, j.Event.ID, cause.Error(), mark)
	}
	if err != nil {
		w.again(ctx, slog.LevelWarn, j, fmt.Errorf("park: %w", err), w.passingDelay(j))
		return
	}
	w.failures.forget(j.Event.ID)
	w.meter.parked.Add(ctx, 1, w.meter.of(j.kind()))
	w.log.ErrorContext(ctx, "event parked", telemetry.EventType(j.Event.Type), telemetry.EventID(j.Event.ID),
		slog.Int("attempts", attempts), telemetry.Err(cause))
	_ = w.Inbox.ack(j.Delivery) // a further delivery finds it parked
}
