package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/services/internal/telemetry"
)

// TailConfig says what to follow.
type TailConfig struct {
	Streams []string
	// Since is how far back to begin, 0 for now.
	Since time.Duration
	// Ready, if set, is called once, when everything that stood in the streams at the beginning has been handled. A stream that does not
	// exist yet has nothing standing in it.
	Ready func()
	// Following, if set, is told each time the tail of a stream has handled what stood there when it began to follow (true), and each time
	// it was interrupted after that (false). A stream that does not exist is followed.
	Following func(stream string, caughtUp bool)
	// Standing, if set, is told where the outbox of a stream stands when following begins and none of its events is due to be handled: events
	// from before Since are the only ones there.
	Standing func(stream string, at Cursor)
}

const (
	// tailIdle is after how much silence of its reader the server forgets a tail's consumer.
	tailIdle      = 30 * time.Second
	tailRetry     = 100 * time.Millisecond
	tailRetryMost = 2 * time.Second
)

// Tail calls handle for each event of the streams, in each stream's order and never two at a time, until ctx ends, whose error it
// returns. It outlives NATS: after a restart it goes on behind the last event it handled; where that is no longer in its place (the stream was
// lost and refilled) it begins again from Since before the loss. So events may come more than once, but none of those published while
// it runs is left out: callers that must not act twice compare Lane and Position with what they had from that Source.
// Messages that are not events are logged and passed over. The functions of cfg but Ready are not called while handle runs, either.
func (b *Bus) Tail(ctx context.Context, cfg TailConfig, handle func(Event)) error {
	var one sync.Mutex
	var caughtUp, done sync.WaitGroup
	for _, stream := range cfg.Streams {
		caughtUp.Add(1)
		t := &tail{bus: b, cfg: cfg, stream: stream, begin: time.Now().Add(-cfg.Since), caughtUp: sync.OnceFunc(caughtUp.Done)}
		t.handle = func(e Event) {
			one.Lock()
			defer one.Unlock()
			handle(e)
		}
		t.one = &one
		done.Go(func() { t.run(ctx) })
	}
	if cfg.Ready != nil {
		done.Go(func() {
			caughtUp.Wait()
			if ctx.Err() == nil {
				cfg.Ready()
			}
		})
	}
	done.Wait()
	return ctx.Err()
}

// tail follows one stream.
type tail struct {
	bus    *Bus
	cfg    TailConfig
	stream string
	begin  time.Time
	handle func(Event)

	one      *sync.Mutex
	caughtUp func()
	current  bool   // Following was told true last
	until    uint64 // where the stream ended when the session began, 0 if nothing was to come: after that the tail has caught up
	seen     Mark
	lost     time.Time // when the last session ended
}

func (t *tail) run(ctx context.Context) {
	defer t.caughtUp()
	delay := tailRetry
	for ctx.Err() == nil {
		before := t.seen.Seq
		err := t.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, ErrNoStream) {
			t.interrupted()
		}
		if t.seen.Seq != before {
			delay = tailRetry
		}
		t.bus.log.DebugContext(ctx, "tail interrupted", slog.String("stream", t.stream), telemetry.Err(err))
		if !errors.Is(err, ErrSessionOver) {
			if wait(ctx, delay) != nil {
				return
			}
			delay = min(2*delay, tailRetryMost)
		}
	}
}

// follow handles events over one connection. It always ends with an error.
func (t *tail) follow(ctx context.Context) error {
	connection, err := t.bus.await(ctx)
	if err != nil {
		return err
	}
	api, cancel := t.bus.apiContext(ctx)
	defer cancel()
	stream, err := t.bus.js.Stream(api, t.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		t.isCurrent()
		return ErrNoStream
	}
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", t.stream, err)
	}
	if err := t.resume(api, stream); err != nil {
		return err
	}
	consumer, err := stream.CreateConsumer(api, t.consumerConfig())
	if err != nil {
		return fmt.Errorf("tail %s: %w", t.stream, err)
	}
	t.until = 0
	if consumer.CachedInfo().NumPending > 0 {
		t.until = max(stream.CachedInfo().State.LastSeq, 1)
	}
	if err := t.stand(api, stream); err != nil {
		return err
	}
	r := &Reader{bus: t.bus, cfg: ReaderConfig{Stream: t.stream, Consumer: consumer.CachedInfo().Name, ackNone: true}}
	s, err := r.begin(connection, consumer)
	if err != nil {
		return err
	}
	defer s.forget(stream, r.cfg.Consumer)
	if t.until == 0 {
		t.isCurrent()
	}
	err = t.drain(ctx, s)
	t.lost = time.Now()
	return err
}

// resume forgets where the tail was if that place is no longer the same.
func (t *tail) resume(ctx context.Context, stream jetstream.Stream) error {
	if t.seen.Seq == 0 {
		return nil
	}
	same, err := stillThere(ctx, stream, t.seen)
	if err != nil || same {
		return err
	}
	t.bus.log.WarnContext(ctx, "tail starts over: the stream is not the one that was read", slog.String("stream", t.stream), slog.Uint64("at", t.seen.Seq))
	t.seen = Mark{}
	t.begin = t.lost.Add(-t.cfg.Since - clockSkew)
	return nil
}

// clockSkew is how far the clocks of this process and of NATS may be apart.
const clockSkew = time.Minute

func (t *tail) consumerConfig() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: tailIdle,
	}
	if t.seen.Seq > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, t.seen.Seq+1
		return cfg
	}
	cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &t.begin
	return cfg
}

const tailBatch = 64

func (t *tail) drain(ctx context.Context, s *Session) error {
	var expect uint64 = 1
	for {
		batch, err := s.Batch(ctx, tailBatch)
		if err != nil {
			return err
		}
		for _, d := range batch {
			if d.consumerSeq != expect {
				return fmt.Errorf("%w: delivery %d came in place of %d", ErrSessionOver, d.consumerSeq, expect)
			}
			expect++
			t.take(ctx, d)
		}
	}
}

func (t *tail) take(ctx context.Context, d Delivery) {
	if d.Err != nil {
		t.bus.log.WarnContext(ctx, "not an event", slog.String("stream", t.stream), slog.Uint64("seq", d.Seq), telemetry.Err(d.Err))
	} else {
		t.handle(d.Event)
	}
	t.seen = d.Mark()
	// Not counted: what is forgotten meanwhile never comes. Something after it always does.
	if d.Seq >= t.until {
		t.isCurrent()
	}
}

// stand tells where the outbox is if no event will.
func (t *tail) stand(ctx context.Context, stream jetstream.Stream) error {
	if t.cfg.Standing == nil || t.until > 0 || t.seen.Seq > 0 {
		return nil
	}
	var at Cursor
	if last := stream.CachedInfo().State.LastSeq; last > 0 {
		var err error
		if at, err = cursorAt(ctx, stream, last); err != nil {
			return err
		}
		if at == (Cursor{}) {
			return nil // the newest event has expired, and nobody knows
		}
	}
	t.one.Lock()
	defer t.one.Unlock()
	t.cfg.Standing(t.stream, at)
	return nil
}

func (t *tail) isCurrent() {
	t.tell(true)
	t.caughtUp()
}

func (t *tail) interrupted() { t.tell(false) }

func (t *tail) tell(current bool) {
	if t.cfg.Following == nil || t.current == current {
		return
	}
	t.one.Lock()
	defer t.one.Unlock()
	t.current = current
	t.cfg.Following(t.stream, current)
}

// forget ends the session and removes its consumer, which nobody else uses.
func (s *Session) forget(stream jetstream.Stream, consumer string) {
	s.Close()
	if s.reader.bus.connection() != s.connection {
		return // with the connection, the server forgets it by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = stream.DeleteConsumer(ctx, consumer) // after tailIdle it goes anyway
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
