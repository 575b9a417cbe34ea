package event

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a dead letter, beside those of the event.
const (
	headerDeadReason   = "nw-dlq-reason"
	headerDeadConsumer = "nw-dlq-consumer"
	headerDeadStream   = "nw-dlq-stream"
	headerDeadSeq      = "nw-dlq-seq"
	headerDeadSubject  = "nw-dlq-subject"
	headerDeadAttempts = "nw-dlq-attempts"
	headerDeadTime     = "nw-dlq-time"
)

// maxReason keeps a long error from making a header too large.
const maxReason = 2000

// DeadLetter is an event that a consumer gave up.
type DeadLetter struct {
	// Seq names it to Replay and Discard.
	Seq      uint64
	Consumer string
	Reason   string
	Attempts int
	Parked   time.Time
	// Stream and StreamSeq are where the consumer had it from.
	Stream    string
	StreamSeq uint64
	// Event is what can be read of it, Err why not all.
	Event Event
	Err   error
}

// DeadSubject is where dead letters of a consumer go.
func DeadSubject(consumer string) string { return "dlq." + consumer }

// ReplaySubject is where orders to handle one again go.
func ReplaySubject(consumer string) string { return "dlq." + consumer + ".replay" }

// Park puts d into the dead-letter stream. It returns when the stream has it.
func (b *Bus) Park(ctx context.Context, consumer string, d Delivery, reason string, attempts int) error {
	h := withoutNats(d.msg.Headers())
	put := func(name, value string) { h[name] = []string{value} }
	put(headerID, d.Event.ID)
	put(headerDeadReason, oneLine(reason))
	put(headerDeadConsumer, consumer)
	put(headerDeadAttempts, strconv.Itoa(attempts))
	put(headerDeadTime, time.Now().UTC().Format(time.RFC3339Nano))
	if h.Get(headerDeadSubject) == "" { // parked again after a replay, it keeps where it came from at first
		put(headerDeadSubject, d.msg.Subject())
		put(headerDeadStream, d.stream)
		put(headerDeadSeq, strconv.FormatUint(d.Seq, 10))
	}
	return b.publishDead(ctx, &nats.Msg{Subject: DeadSubject(consumer), Header: h, Data: d.msg.Data()})
}

func (b *Bus) publishDead(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := b.apiContext(ctx)
	defer cancel()
	_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamDead))
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if err := b.EnsureStream(ctx, StreamDead); err != nil {
			return err
		}
		_, err = b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamDead))
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", m.Subject, err)
	}
	return nil
}

// withoutNats copies h without the server's own headers, which would be orders about the copy.
func withoutNats(h nats.Header) nats.Header {
	c := make(nats.Header, len(h)+7)
	for name, values := range h {
		if !strings.HasPrefix(name, "Nats-") {
			c[name] = values
		}
	}
	return c
}

func oneLine(text string) string {
	text = strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}

// DeadLetters lists the dead letters of a consumer, the oldest first, at most limit from the sequence from on.
func (b *Bus) DeadLetters(ctx context.Context, consumer string, from uint64, limit int) ([]DeadLetter, error) {
	ctx, cancel := b.apiContext(ctx)
	defer cancel()
	stream, err := b.js.Stream(ctx, StreamDead)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // nothing was ever parked
	}
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", StreamDead, err)
	}
	var letters []DeadLetter
	for seq := max(from, 1); len(letters) < limit; {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(DeadSubject(consumer)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return letters, fmt.Errorf("read dead letters of %s: %w", consumer, err)
		}
		letters = append(letters, letterOf(m))
		seq = m.Sequence + 1
	}
	return letters, nil
}

func letterOf(m *jetstream.RawStreamMsg) DeadLetter {
	l := DeadLetter{
		Seq:      m.Sequence,
		Consumer: m.Header.Get(headerDeadConsumer),
		Reason:   m.Header.Get(headerDeadReason),
		Stream:   m.Header.Get(headerDeadStream),
		Parked:   m.Time,
	}
	l.Attempts, _ = strconv.Atoi(m.Header.Get(headerDeadAttempts)) // 0 says unknown
	l.StreamSeq, _ = strconv.ParseUint(m.Header.Get(headerDeadSeq), 10, 64)
	l.Event, l.Err = parse(originalSubject(m.Subject, m.Header), m.Header, m.Data)
	return l
}

// Replay orders the consumer to handle a dead letter once more, and takes it from the list. The order stands in the stream, so
// the consumer may be away. If it fails again it is parked again.
func (b *Bus) Replay(ctx context.Context, consumer string, seq uint64) error {
	stream, m, err := b.deadLetter(ctx, consumer, seq)
	if err != nil {
		return err
	}
	if err := b.publishDead(ctx, &nats.Msg{Subject: ReplaySubject(consumer), Header: withoutNats(m.Header), Data: m.Data}); err != nil {
		return err
	}
	return deleteLetter(ctx, stream, seq)
}

// Discard takes a dead letter from the list for good.
func (b *Bus) Discard(ctx context.Context, consumer string, seq uint64) error {
	stream, _, err := b.deadLetter(ctx, consumer, seq)
	if err != nil {
		return err
	}
	return deleteLetter(ctx, stream, seq)
}

// CountDeadLetters is how many a consumer has.
func (b *Bus) CountDeadLetters(ctx context.Context, consumer string) (uint64, error) {
	ctx, cancel := b.apiContext(ctx)
	defer cancel()
	stream, err := b.js.Stream(ctx, StreamDead)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil // nothing was ever parked
	}
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", StreamDead, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(DeadSubject(consumer)))
	if err != nil {
		return 0, fmt.Errorf("count dead letters of %s: %w", consumer, err)
	}
	return info.State.Subjects[DeadSubject(consumer)], nil
}

// DeadLetter is the one at that sequence.
func (b *Bus) DeadLetter(ctx context.Context, consumer string, seq uint64) (DeadLetter, error) {
	_, m, err := b.deadLetter(ctx, consumer, seq)
	if err != nil {
		return DeadLetter{}, err
	}
	return letterOf(m), nil
}

// ErrNoDeadLetter says that there is none of that consumer at that sequence.
var ErrNoDeadLetter = errors.New("no such dead letter")

func (b *Bus) deadLetter(ctx context.Context, consumer string, seq uint64) (jetstream.Stream, *jetstream.RawStreamMsg, error) {
	if seq == 0 { // the server has another opinion of it than "not found"
		return nil, nil, ErrNoDeadLetter
	}
	ctx, cancel := b.apiContext(ctx)
	defer cancel()
	stream, err := b.js.Stream(ctx, StreamDead)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil, ErrNoDeadLetter
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up stream %s: %w", StreamDead, err)
	}
	m, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Subject != DeadSubject(consumer) {
		return nil, nil, ErrNoDeadLetter
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read dead letter %d: %w", seq, err)
	}
	return stream, m, nil
}

func deleteLetter(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	if err := stream.DeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("delete dead letter %d: %w", seq, err)
	}
	return nil
}
