package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

const (
	backoffFirst  = 50 * time.Millisecond
	backoffAtMost = time.Second
)

// life is the state of Start and Stop.
type life struct {
	mu      sync.Mutex
	started bool
	stop    func() // takes no more
	kill    func() // ends what is being handled
	done    sync.WaitGroup
}

// Start begins to consume: events of the stream, and dead letters that are to be replayed. Neither database nor NATS nor the stream need be there
// yet. The inbox lives until Stop.
func (in *Inbox) Start(ctx context.Context) error {
	in.life.mu.Lock()
	defer in.life.mu.Unlock()
	if in.life.started {
		return errors.New("inbox: started twice")
	}
	in.life.started = true
	var handling, taking context.Context
	handling, in.life.kill = context.WithCancel(context.WithoutCancel(ctx))
	taking, in.life.stop = context.WithCancel(handling)
	for _, w := range []*worker{in.events(), in.replays()} {
		in.life.done.Go(func() { w.run(taking, handling) })
	}
	in.life.done.Go(func() { in.purge(taking) })
	return nil
}

// Stop takes no more events and lets those that are being handled finish, at the latest until ctx ends, whose error it then returns.
func (in *Inbox) Stop(ctx context.Context) error {
	in.life.mu.Lock()
	defer in.life.mu.Unlock()
	if !in.life.started {
		return nil
	}
	in.life.stop()
	defer in.life.kill()
	done := make(chan struct{})
	go func() {
		in.life.done.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		in.life.kill()
		<-done
		return fmt.Errorf("inbox: stop: %w", ctx.Err())
	}
}

// worker reads one stream: that of the events, or that of the orders to replay.
type worker struct {
	*Inbox
	reader *event.Reader
	replay bool
}

func (in *Inbox) events() *worker {
	cfg := event.ReaderConfig{Stream: in.cfg.Stream, Consumer: in.cfg.Consumer, AckWait: in.cfg.AckWait, Linger: in.cfg.Linger}
	return &worker{Inbox: in, reader: in.bus.Reader(cfg, in.ledger)}
}

func (in *Inbox) replays() *worker {
	cfg := event.ReaderConfig{
		Stream: event.StreamDead, Consumer: in.cfg.Consumer + "-replay", Filter: event.ReplaySubject(in.cfg.Consumer), AckWait: in.cfg.AckWait,
	}
	return &worker{Inbox: in, reader: in.bus.Reader(cfg, nil), replay: true}
}

// run works session after session until taking ends.
func (w *worker) run(taking, handling context.Context) {
	delay := backoffFirst
	var before string
	for {
		began := time.Now()
		err := w.session(taking, handling)
		if taking.Err() != nil {
			return
		}
		if time.Since(began) > backoffAtMost {
			delay, before = backoffFirst, ""
		}
		if err.Error() != before { // the same trouble is told once
			w.log.InfoContext(taking, "consuming interrupted", slog.Bool("replay", w.replay), telemetry.Err(err))
			before = err.Error()
		}
		if !pause(taking, delay) {
			return
		}
		delay = min(2*delay, backoffAtMost)
	}
}

// session consumes over one connection. It always ends with an error.
func (w *worker) session(taking, handling context.Context) error {
	if w.replay {
		if err := w.deadStream(taking); err != nil {
			return err
		}
	}
	s, err := w.reader.Open(taking)
	if err != nil {
		return err
	}
	defer s.Close()
	measuring, stop := context.WithCancel(taking)
	defer stop()
	go w.measure(measuring, s)
	return w.consume(taking, handling, s)
}

func (w *worker) deadStream(ctx context.Context) error {
	if err := w.bus.Await(ctx, nil); err != nil {
		return err
	}
	return w.bus.EnsureStream(ctx, event.StreamDead)
}

func (w *worker) consume(taking, handling context.Context, s *event.Session) error {
	delay := backoffFirst
	for {
		batch, err := s.Batch(taking, w.cfg.Batch)
		if err != nil {
			return err
		}
		if w.alive(handling, batch) {
			delay = backoffFirst
			continue
		}
		if delay == backoffFirst {
			w.log.WarnContext(taking, "events wait: what their handlers need is away", slog.Int("events", len(batch)))
		}
		if !pause(taking, delay) {
			return taking.Err()
		}
		delay = min(2*delay, backoffAtMost)
	}
}

// alive processes a batch, and says for its deliveries that they are being worked on when that takes long.
func (w *worker) alive(ctx context.Context, batch []event.Delivery) (available bool) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(w.cfg.AckWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for _, d := range batch {
					_ = d.Working() // those answered already do not mind
				}
			case <-done:
				return
			}
		}
	}()
	return w.process(ctx, batch)
}

// measure asks for the consumer's lag now and then, or counts its dead letters; of their stream, which has no relay, it keeps the configuration right.
func (w *worker) measure(ctx context.Context, s *event.Session) {
	for {
		if w.replay {
			if err := w.bus.EnsureStream(ctx, event.StreamDead); err != nil {
				w.log.DebugContext(ctx, "dead-letter stream not checked", telemetry.Err(err))
			}
			if n, err := w.bus.CountDeadLetters(ctx, w.cfg.Consumer); err == nil {
				w.meter.dead.Store(int64(n)) //nolint:gosec // bounded by the stream
			}
		} else if waiting, unacknowledged, err := s.Pending(ctx); err == nil {
			w.meter.lag(waiting, unacknowledged)
		}
		if !pause(ctx, w.cfg.Measure) {
			return
		}
	}
}

func (in *Inbox) purge(ctx context.Context) {
	for pause(ctx, in.cfg.Purge) {
		removed, err := in.ledger.purge(ctx, time.Now().Add(-Keep))
		if err != nil && ctx.Err() == nil {
			in.log.WarnContext(ctx, "inbox not purged", telemetry.Err(err))
		}
		if removed > 0 {
			in.log.InfoContext(ctx, "inbox purged", slog.Int64("rows", removed))
		}
	}
}

// pause reports whether d has gone by before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
