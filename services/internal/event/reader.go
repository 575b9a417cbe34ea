package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ReaderConfig says what to read, and under which durable name: readers of one name share the work.
type ReaderConfig struct {
	Stream, Consumer string
	// Filter narrows the stream to a subject, "" is all of it.
	Filter string
	// AckWait is how long a delivery may go without a sign of life before it is made again, 0 for 5 s.
	AckWait time.Duration
	// MaxPending is how many deliveries may be unacknowledged at a time, 0 for 1024.
	MaxPending int
	// Linger is how long Batch waits for more after the first delivery, unless the batch is full before.
	Linger time.Duration

	ackNone bool // nothing is to be acknowledged, or given back
}

const (
	defaultAckWait    = 5 * time.Second
	defaultMaxPending = 1024
	pullMessages      = 256
	pullExpiry        = 10 * time.Second
	pullHeartbeat     = time.Second
)

// Mark is the newest message that took effect: where, and which. A stream that still has this message at this place has not changed
// before it, because the cursor tells which events went before.
type Mark struct {
	Seq             uint64
	EventID, Cursor string
}

// Marks keeps the mark of one consumer where its effects are kept. A nil Marks trusts the stream.
type Marks interface {
	// Load answers the zero Mark when nothing took effect yet.
	Load(context.Context) (Mark, error)
	// Forget is called before the consumer starts over because the stream is another one. Load then answers zero.
	Forget(context.Context) error
}

// Errors of Open that end by themselves.
var (
	// ErrNoStream says that the stream does not exist yet: its owner makes it.
	ErrNoStream = errors.New("the stream does not exist")
	// ErrSessionOver says that the connection or the consumer is gone: open again.
	ErrSessionOver = errors.New("session over")
)

// Reader is a durable consumer of a stream.
type Reader struct {
	bus   *Bus
	cfg   ReaderConfig
	marks Marks
}

// Reader returns a reader; it asks NATS nothing before Open.
func (b *Bus) Reader(cfg ReaderConfig, marks Marks) *Reader {
	if cfg.AckWait <= 0 {
		cfg.AckWait = defaultAckWait
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = defaultMaxPending
	}
	return &Reader{bus: b, cfg: cfg, marks: marks}
}

// Open waits for a connection and begins to read where the consumer stands. If the stream is no longer the one that was read so far (it was lost
// and refilled), or the mark is behind the consumer (the database was restored), the consumer starts over: all its messages come
// again, and the caller knows by their ids which took effect. When nobody else reads, what is unacknowledged comes again at once and in order,
// and not after AckWait behind newer messages.
func (r *Reader) Open(ctx context.Context) (s *Session, err error) {
	connection, err := r.bus.await(ctx)
	if err != nil {
		return nil, err
	}
	err = r.bus.ask(ctx, func(ctx context.Context) error {
		s, err = r.open(ctx, connection)
		return err
	})
	return s, err
}

func (r *Reader) open(ctx context.Context, connection uint64) (*Session, error) {
	stream, err := r.bus.js.Stream(ctx, r.cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, ErrNoStream
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", r.cfg.Stream, err)
	}
	consumer, err := r.consumer(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", r.cfg.Consumer, err)
	}
	return r.begin(connection, consumer)
}

// consumer makes the consumer as it should be, where it should be.
func (r *Reader) consumer(ctx context.Context, stream jetstream.Stream) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		Durable:       r.cfg.Consumer,
		AckPolicy:     jetstream.AckExplicitPolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait:       r.cfg.AckWait,
		MaxAckPending: r.cfg.MaxPending,
		MaxDeliver:    -1,
		FilterSubject: r.cfg.Filter,
	}
	have, err := stream.Consumer(ctx, r.cfg.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return created(ctx, stream, cfg)
	}
	if err != nil {
		return nil, err
	}
	info := have.CachedInfo()
	over, err := r.startsOver(ctx, stream, info)
	switch {
	case err != nil:
		return nil, err
	case over:
		return r.anew(ctx, stream, cfg)
	case info.NumAckPending > 0 && info.NumWaiting == 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, info.AckFloor.Stream+1
		return r.anew(ctx, stream, cfg)
	}
	// Where it began says nothing any more, and can not be changed.
	cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = info.Config.DeliverPolicy, info.Config.OptStartSeq, info.Config.OptStartTime
	return r.corrected(ctx, stream, cfg)
}

func (r *Reader) anew(ctx context.Context, stream jetstream.Stream, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	if err := stream.DeleteConsumer(ctx, r.cfg.Consumer); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return created(ctx, stream, cfg)
}

// created tries twice: under NATS 2.15, what a deleted consumer of the name was still writing takes the new one's file away, once in some
// thousand times.
func created(ctx context.Context, stream jetstream.Stream, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := stream.CreateOrUpdateConsumer(ctx, cfg)
	if !notCreated(err) {
		return consumer, err
	}
	return stream.CreateOrUpdateConsumer(ctx, cfg)
}

// errCodeConsumerCreate is the answer to a change of what can not change, and when the server can not write: JSConsumerCreateErrF of its errors.json.
const errCodeConsumerCreate jetstream.ErrorCode = 10012

func notCreated(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == errCodeConsumerCreate
}

// corrected makes a consumer that was changed by hand in a way that can not be changed back anew, from the beginning.
func (r *Reader) corrected(ctx context.Context, stream jetstream.Stream, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := stream.CreateOrUpdateConsumer(ctx, cfg)
	if !notCreated(err) {
		return consumer, err
	}
	r.bus.log.WarnContext(ctx, "consumer can not be corrected and starts over", slog.String("consumer", r.cfg.Consumer), slog.Any("reason", err))
	cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverAllPolicy, 0, nil
	return r.anew(ctx, stream, cfg)
}

// startsOver reports whether the consumer's place means nothing any more, and then forgets the mark, too.
func (r *Reader) startsOver(ctx context.Context, stream jetstream.Stream, info *jetstream.ConsumerInfo) (bool, error) {
	if r.marks == nil {
		return false, nil
	}
	// The floor was asked for before the mark is read: effects are marked before they are acknowledged, so floor <= mark.
	mark, err := r.marks.Load(ctx)
	if err != nil {
		return false, fmt.Errorf("load mark: %w", err)
	}
	why, err := unusable(ctx, stream, mark, info.AckFloor.Stream)
	if err != nil || why == "" {
		return false, err
	}
	r.bus.log.WarnContext(ctx, "consumer starts over", slog.String("consumer", r.cfg.Consumer), slog.String("reason", why), slog.Uint64("at", mark.Seq))
	if err := r.marks.Forget(ctx); err != nil {
		return false, fmt.Errorf("forget mark: %w", err)
	}
	return true, nil
}

// unusable says why a consumer with this mark and floor can not go on, "" if it can.
func unusable(ctx context.Context, stream jetstream.Stream, mark Mark, floor uint64) (string, error) {
	if floor > mark.Seq && floor >= stream.CachedInfo().State.FirstSeq { // a new consumer's floor is before the first message
		gone, err := forgotten(ctx, stream, mark.Seq+1, floor)
		if err != nil {
			return "", err
		}
		if !gone {
			return "the database knows less than was acknowledged", nil
		}
	}
	if mark.Seq == 0 {
		return "", nil
	}
	same, err := stillThere(ctx, stream, mark)
	if err != nil || same {
		return "", err
	}
	return "the stream is not the one that was read", nil
}

// stillThere reports whether the stream before the mark is what it was. A message that expired can not tell, and need not: a stream that
// was refilled begins at its mark or before. For one that was forgotten, the message before it tells.
func stillThere(ctx context.Context, stream jetstream.Stream, mark Mark) (bool, error) {
	state := stream.CachedInfo().State
	if state.LastSeq < mark.Seq {
		return false, nil
	}
	if mark.Seq < state.FirstSeq {
		return true, nil
	}
	e, _, err := eventAt(ctx, stream, mark.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return leadsTo(ctx, stream, mark)
	}
	if err != nil && !errors.Is(err, ErrMalformed) {
		return false, err
	}
	return e.ID == mark.EventID && e.Cursor == mark.Cursor, nil
}

// Session is one unbroken run of deliveries over one connection.
type Session struct {
	reader     *Reader
	connection uint64
	consumer   jetstream.Consumer
	consuming  jetstream.ConsumeContext
	arrived    chan jetstream.Msg
	stop       func()

	once sync.Once
	over chan struct{}
	err  error
}

func (r *Reader) begin(connection uint64, consumer jetstream.Consumer) (*Session, error) {
	s := &Session{
		reader: r, connection: connection, consumer: consumer,
		arrived: make(chan jetstream.Msg, pullMessages), over: make(chan struct{}),
	}
	changed, unwatch := r.bus.watch()
	s.stop = unwatch
	go s.watch(changed)
	consuming, err := consumer.Consume(s.take,
		jetstream.PullMaxMessages(pullMessages), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.ConsumeErrHandler(s.failed))
	if err != nil {
		s.end(err)
		unwatch()
		return nil, fmt.Errorf("consume %s: %w", r.cfg.Consumer, err)
	}
	s.consuming = consuming
	return s, nil
}

func (s *Session) take(m jetstream.Msg) {
	select {
	case s.arrived <- m:
	case <-s.over:
		s.giveBack(m)
	}
}

// giveBack has m delivered to somebody else at once. When that gets lost, it happens after AckWait.
func (s *Session) giveBack(m jetstream.Msg) {
	if !s.reader.cfg.ackNone {
		_ = m.Nak()
	}
}

func (s *Session) failed(_ jetstream.ConsumeContext, err error) {
	switch {
	case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrNoHeartbeat),
		errors.Is(err, jetstream.ErrConnectionClosed), errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrStreamNotFound):
		s.end(err)
	}
}

// watch ends the session with its connection: what the next one delivers may be of another stream.
func (s *Session) watch(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
			if s.reader.bus.connection() != s.connection {
				s.end(ErrDisconnected)
				return
			}
		case <-s.over:
			return
		}
	}
}

func (s *Session) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.over)
	})
}

// Batch waits for deliveries and returns those that are there, at most limit. ErrSessionOver wraps why there will be no more.
func (s *Session) Batch(ctx context.Context, limit int) ([]Delivery, error) {
	var first jetstream.Msg
	select {
	case first = <-s.arrived:
	case <-s.over:
		return nil, fmt.Errorf("%w: %w", ErrSessionOver, s.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	batch := append(make([]Delivery, 0, min(limit, 1+len(s.arrived))), s.reader.delivery(first))
	batch = s.linger(ctx, batch, limit)
	for len(batch) < limit {
		select {
		case m := <-s.arrived:
			batch = append(batch, s.reader.delivery(m))
			continue
		default:
		}
		break
	}
	if s.reader.bus.connection() != s.connection {
		s.end(ErrDisconnected)
		return nil, fmt.Errorf("%w: %w", ErrSessionOver, ErrDisconnected)
	}
	return batch, nil
}

// linger collects what arrives meanwhile. What ends it early is found out by the next Batch.
func (s *Session) linger(ctx context.Context, batch []Delivery, limit int) []Delivery {
	if s.reader.cfg.Linger <= 0 {
		return batch
	}
	over := time.NewTimer(s.reader.cfg.Linger)
	defer over.Stop()
	for len(batch) < limit {
		select {
		case m := <-s.arrived:
			batch = append(batch, s.reader.delivery(m))
		case <-over.C:
			return batch
		case <-s.over:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// Pending is how many messages of the stream wait to be delivered to this consumer, and how many were and are not acknowledged.
func (s *Session) Pending(ctx context.Context) (waiting, unacknowledged uint64, err error) {
	ctx, cancel := s.reader.bus.apiContext(ctx)
	defer cancel()
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("consumer %s: %w", s.reader.cfg.Consumer, err)
	}
	return info.NumPending, uint64(max(info.NumAckPending, 0)), nil
}

// Close ends the session and gives back what was delivered and not returned by Batch.
func (s *Session) Close() {
	s.end(errors.New("closed"))
	s.stop()
	s.consuming.Stop()
	for {
		select {
		case m := <-s.arrived:
			s.giveBack(m)
		default:
			return
		}
	}
}
