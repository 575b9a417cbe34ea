package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

const (
	backoffFirst  = 20 * time.Millisecond
	backoffAtMost = time.Second
	// settled is how long a relay must have gone on for its next failure to begin with a short pause again.
	settled = 5 * time.Second
	// connectTimeout bounds connecting to the database and each question to it.
	connectTimeout = 5 * time.Second
)

// errStopped ends the relay in peace: it was told to stop, and everything that was there is published.
var errStopped = errors.New("stopped")

// Start begins to relay, or to stand by while another replica does. Neither database nor NATS need be there yet. The relay lives until Stop.
func (o *Outbox) Start(ctx context.Context) error {
	o.life.mu.Lock()
	defer o.life.mu.Unlock()
	if o.life.started {
		return errors.New("outbox: started twice")
	}
	unping, err := o.bus.OnPing(o.cfg.Source, o.pinged)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o.life.started, o.life.cancel, o.life.unping = true, cancel, unping
	o.life.stopping, o.life.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(o.life.done)
		o.run(running, o.life.stopping)
	}()
	return nil
}

// Stop lets the relay publish what is committed, if NATS is there, and ends it, at the latest when ctx ends, whose error it then returns.
// What is left is published by the next relay.
func (o *Outbox) Stop(ctx context.Context) error {
	o.life.mu.Lock()
	defer o.life.mu.Unlock()
	if !o.life.started {
		return nil
	}
	select {
	case <-o.life.stopping:
	default:
		close(o.life.stopping)
		o.life.unping()
	}
	defer o.life.cancel()
	select {
	case <-o.life.done:
		return nil
	case <-ctx.Done():
		o.life.cancel()
		<-o.life.done
		return fmt.Errorf("outbox: stop: %w", ctx.Err())
	}
}

// run relays term after term until it is stopped.
func (o *Outbox) run(ctx context.Context, stopping <-chan struct{}) {
	pause, trouble := backoff{}, trouble{}
	for {
		began := time.Now()
		err := o.term(ctx, stopping)
		o.leading.Store(false)
		o.meter.forget()
		if ctx.Err() != nil || errors.Is(err, errStopped) {
			return
		}
		if time.Since(began) > settled {
			trouble.text = ""
		}
		if trouble.isNews(err) {
			o.log.WarnContext(ctx, "relay has lost its database", telemetry.Err(err))
		}
		if !pause.wait(ctx, stopping, time.Since(began)) {
			return
		}
	}
}

// term is the life of one connection to the database: first standing by, then leading.
func (o *Outbox) term(ctx context.Context, stopping <-chan struct{}) error {
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	j, err := openJournal(connecting, o.db.Pool(), o.cfg.Silence)
	if err != nil {
		return err
	}
	defer j.close()
	if err := o.standBy(ctx, stopping, j); err != nil {
		return err
	}
	o.leading.Store(true)
	o.meter.leader.Store(true)
	o.log.InfoContext(ctx, "relaying")
	r := &relay{Outbox: o, journal: j, stopping: stopping}
	return r.lead(ctx)
}

func (o *Outbox) standBy(ctx context.Context, stopping <-chan struct{}, j *journal) error {
	for {
		got, err := j.lead(ctx, o.cfg.Stream)
		if err != nil || got {
			return err
		}
		select {
		case <-time.After(o.cfg.Standby):
		case <-stopping:
			return errStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// relay is the work of the one that leads.
type relay struct {
	*Outbox
	journal  *journal
	stopping <-chan struct{}

	known   bool         // whether published is
	next    event.Cursor // what was handed to the chain
	acked   cursorBox    // what the stream has acknowledged
	rotated time.Time
	audited time.Time
	rows    []event.Event

	stuck      stuck
	explained  uint64 // how many messages are missing in the stream because the outbox has forgotten them, too
	forgetting *round // nil: none
}

// lead relays over one chain after another. Its error is the database's, or errStopped.
func (r *relay) lead(ctx context.Context) error {
	pause := backoff{}
	for {
		began := time.Now()
		err := r.chain(ctx)
		var lost *databaseError
		if ctx.Err() != nil || errors.Is(err, errStopped) || errors.As(err, &lost) {
			return err
		}
		r.meter.failures.Add(ctx, 1, r.meter.attrs)
		r.log.WarnContext(ctx, "relay begins again from the stream's last message", telemetry.Err(err))
		if why := r.stuck.after(err, time.Now()); why != "" {
			r.remake(ctx, why)
		}
		if !pause.wait(ctx, r.stopping, time.Since(began)) {
			return errStopped
		}
		if err := r.housekeep(ctx); err != nil {
			return err
		}
	}
}

// chain waits for NATS, finds out what is published, and publishes on until something fails.
func (r *relay) chain(ctx context.Context) error {
	if err := r.awaitBus(ctx); err != nil {
		return err
	}
	r.explained = 0 // it may be another stream
	end, err := r.verify(ctx)
	if err != nil {
		return err
	}
	r.stuck.at(end.Last)
	chain, err := r.bus.Chain(r.cfg.Stream, end)
	if err != nil {
		return err
	}
	defer chain.Close()
	r.dropHanded() // what has been forgotten since must not be published again
	r.forgetting = nil
	r.known, r.next = true, end.Cursor
	r.acked.store(end.Cursor)
	r.audited = time.Time{}
	return r.pump(ctx, chain)
}

// awaitBus waits for NATS, and measures how the backlog grows meanwhile.
func (r *relay) awaitBus(ctx context.Context) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, r.cfg.Audit)
		err := r.bus.Await(waiting, r.stopping)
		stopped := waiting.Err() == nil
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case stopped:
			return errStopped
		}
		if err := r.housekeep(ctx); err != nil {
			return err
		}
	}
}

// verify compares the stream with the outbox and makes it good for going on: one that lost messages other than its last, or has events that the outbox
// never had, is emptied, and filled again from the oldest event there is. (The last ones need nothing: the cursor tells that they are missing.)
func (r *relay) verify(ctx context.Context) (event.End, error) {
	end, err := r.bus.EndOf(ctx, r.cfg.Stream)
	if err != nil {
		return event.End{}, err
	}
	ordered := r.takeOrder(end)
	why, err := r.unlike(ctx, end)
	if err != nil {
		return event.End{}, &databaseError{err}
	}
	switch {
	case why != "":
		r.log.WarnContext(ctx, "stream is not the outbox's any more, filling it again", slog.String("reason", why), slog.Uint64("messages_left", end.Messages))
		r.meter.rebuilt.Add(ctx, 1, r.meter.attrs)
	case ordered:
		r.log.InfoContext(ctx, "filling the stream again, as ordered", slog.Uint64("messages", end.Messages))
	default:
		r.tellLoss(ctx, end)
		return end, nil
	}
	if err := r.bus.Empty(ctx, r.cfg.Stream); err != nil {
		return event.End{}, err
	}
	return r.bus.EndOf(ctx, r.cfg.Stream)
}

// tellLoss says that the stream ends before what it has acknowledged to this relay, all of it or its last messages: publishing goes on from there.
// One that is empty and not new has expired, or was emptied on purpose.
func (r *relay) tellLoss(ctx context.Context, end event.End) {
	expired := end.Messages == 0 && end.Last > 0
	if expired || !r.known || r.acked.load().Before(end.Cursor) {
		return
	}
	r.log.WarnContext(ctx, "stream has lost what it acknowledged, filling it again", slog.Uint64("messages_left", end.Messages))
	r.meter.rebuilt.Add(ctx, 1, r.meter.attrs)
	r.acked.store(end.Cursor) // told once
}

// unlike says why the stream does not stand for the outbox, "" if it does. The error is the database's.
func (r *relay) unlike(ctx context.Context, end event.End) (string, error) {
	if end.Messages == 0 {
		return "", nil
	}
	if lost, err := r.lost(ctx, end); err != nil || lost {
		return "messages are missing in the middle", err
	}
	const margin = time.Hour // a younger event is certainly in both, or should be
	age := min(event.Retention, r.cfg.Keep) - margin
	if end.Newest.ID != "" && time.Since(end.Stored) < age {
		if known, err := r.journal.knows(ctx, end.Newest); err != nil || !known {
			return "the database is another one", err
		}
	}
	if missing, err := r.journal.missing(ctx, end.Before, age); err != nil || missing {
		return "the oldest messages are missing", err
	}
	return "", nil
}

// lost reports whether messages are missing that the outbox has events for; those that were forgotten are missing in both. A message is missing for ever, and how many
// are may only become less, as the stream expires; so the events are counted, which takes a second for some millions, only when it became more.
func (r *relay) lost(ctx context.Context, end event.End) (bool, error) {
	if end.Missing > r.explained {
		if end.Newest.ID == "" {
			return true, nil // the newest message is never forgotten
		}
		events, err := r.journal.count(ctx, end.Before, end.Cursor)
		if err != nil || events > end.Messages {
			return true, err
		}
	}
	r.explained = end.Missing
	return false, nil
}

// pump publishes what is after the cursor, and waits for more.
func (r *relay) pump(ctx context.Context, chain *event.Chain) error {
	poll := time.NewTicker(r.cfg.Poll)
	defer poll.Stop()
	for {
		more, err := r.publishNext(ctx, chain)
		if err != nil {
			return err
		}
		if r.refill.Load() > 0 {
			if err := r.compare(ctx, chain); err != nil {
				return err
			}
		}
		if err := r.audit(ctx, chain, more); err != nil {
			return err
		}
		forgetting, err := r.forget(ctx)
		if err != nil {
			return err
		}
		if more || forgetting {
			continue
		}
		if err := r.await(ctx, chain, poll.C); err != nil {
			return err
		}
	}
}

// await returns when it is time to look, and publishes meanwhile what it is handed.
func (r *relay) await(ctx context.Context, chain *event.Chain, poll <-chan time.Time) error {
	for {
		select {
		case e := <-r.handed:
			if inLine, err := r.publishHanded(ctx, chain, e); err != nil || !inLine {
				return err
			}
		case <-r.woken:
			return nil
		case <-poll:
			if !chain.Unbroken() {
				return errors.Join(event.ErrDisconnected, chain.Err())
			}
			return nil
		case <-chain.Failed():
			return chain.Err()
		case <-r.stopping:
			return r.finish(ctx, chain)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publishHanded publishes e if nothing in its lane comes before it, and reports whether it has been published, now or before.
func (r *relay) publishHanded(ctx context.Context, chain *event.Chain, e placed) (inLine bool, err error) {
	switch {
	case r.next.Covers(e.Lane, e.Position):
		return true, nil
	case r.next.Covers(e.Lane, e.before):
		return true, r.publish(ctx, chain, e.Event)
	}
	return false, nil
}

// publishNext publishes a screenful of events and reports whether there may be more.
func (r *relay) publishNext(ctx context.Context, chain *event.Chain) (more bool, err error) {
	if r.rows, err = r.journal.after(ctx, r.next, r.rows[:0]); err != nil {
		return false, &databaseError{err}
	}
	for i := range r.rows {
		if err := r.publish(ctx, chain, r.rows[i]); err != nil {
			return false, err
		}
	}
	return len(r.rows) == readAtMost, nil
}

func (r *relay) publish(ctx context.Context, chain *event.Chain, e event.Event) error {
	cursor := r.next.After(e.Lane, e.Position)
	e.Source, e.Cursor = r.cfg.Source, cursor.String()
	span := r.span(&e)
	done := func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
			span.End()
			return
		}
		r.acked.store(cursor)
		r.meter.published.Add(ctx, 1, r.meter.attrs)
		span.End()
	}
	if err := chain.Publish(ctx, e, done); err != nil {
		return err
	}
	r.next = cursor
	return nil
}

// span continues the trace of the transaction that appended e, and puts itself into e for those who consume it.
func (r *relay) span(e *event.Event) trace.Span {
	stored := propagation.MapCarrier{"traceparent": e.TraceParent, "tracestate": e.TraceState}
	ctx := r.tel.Propagator.Extract(context.Background(), stored)
	ctx, span := r.tracer.Start(ctx, "publish "+e.Type, trace.WithSpanKind(trace.SpanKindProducer))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.destination.name", r.cfg.Stream),
			attribute.String("messaging.message.id", e.ID),
			attribute.String("event_type", e.Type),
		)
	}
	carrier := propagation.MapCarrier{}
	r.tel.Propagator.Inject(ctx, carrier)
	e.TraceParent, e.TraceState = carrier["traceparent"], carrier["tracestate"]
	return span
}

// finish publishes what was committed before the stop.
func (r *relay) finish(ctx context.Context, chain *event.Chain) error {
	for {
		more, err := r.publishNext(ctx, chain)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if err := chain.Drain(ctx); err != nil {
		return err
	}
	return errStopped
}

// audit looks, every now and then and at the beginning, whether the stream is still what the chain thinks it is, and keeps house.
func (r *relay) audit(ctx context.Context, chain *event.Chain, busy bool) error {
	if time.Since(r.audited) < r.cfg.Audit {
		return nil
	}
	first := r.audited.IsZero()
	r.audited = time.Now()
	if !first && !busy { // a busy chain finds out by itself
		if err := r.compare(ctx, chain); err != nil {
			return err
		}
	}
	if err := r.beginForgetting(ctx, first); err != nil {
		return err
	}
	return r.housekeep(ctx)
}

func (r *relay) compare(ctx context.Context, chain *event.Chain) error {
	if err := chain.Drain(ctx); err != nil {
		return err
	}
	end, err := r.verify(ctx)
	if err != nil {
		return err
	}
	if end.Last != chain.Last() || end.Cursor != r.next {
		return event.ErrFenced
	}
	return nil
}

// housekeep measures the backlog and rotates partitions. Its error is the database's.
func (r *relay) housekeep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var published *event.Cursor
	if r.known {
		cursor := r.acked.load()
		published = &cursor
		b, err := r.journal.backlog(ctx, cursor)
		if err != nil {
			return &databaseError{err}
		}
		r.meter.set(b)
	} else if err := r.journal.alive(ctx); err != nil {
		return &databaseError{err}
	}
	if time.Since(r.rotated) < r.cfg.Rotate {
		return nil
	}
	made, dropped, err := r.journal.rotate(ctx, r.cfg.Keep, published)
	if err != nil {
		return &databaseError{err}
	}
	r.rotated = time.Now()
	if made+dropped > 0 {
		r.log.InfoContext(ctx, "outbox rotated", slog.Int("made", made), slog.Int("dropped", dropped))
	}
	return nil
}
