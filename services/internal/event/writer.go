package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Window is how many publishes a Chain has unacknowledged at most. JetStream stalls when it is flooded; 256 was seen to keep one
// core of it busy.
const Window = 256

// ackTimeout is how long a publish may stay unacknowledged before the chain is given up.
const ackTimeout = 5 * time.Second

// ErrFenced says that the stream's end is not what the chain continued: another writer wrote, or messages were lost. Open again.
var ErrFenced = errors.New("the stream moved on without this writer")

// ErrUnanswered says that NATS is there and did not acknowledge what was published.
var ErrUnanswered = errors.New("no acknowledgement")

// End is what stands in a stream.
type End struct {
	// Last is the sequence of the newest message the stream has had, 0 for none, and First that of the oldest that is there; it is after Last when
	// none is.
	Last, First uint64
	// Cursor is the outbox's position after that message, zero when it is not there any more or is not an outbox's.
	Cursor Cursor
	// Newest is the event in that message, empty when Cursor is zero, and Stored is since when it stands there.
	Newest Event
	Stored time.Time
	// Before is the outbox's position before the oldest message that is there, and Messages how many there are.
	Before   Cursor
	Messages uint64
	// Bytes is what the messages take in the stream's files.
	Bytes uint64
	// Missing is how many are not there of those that stood between the oldest and the newest, the newest included: forgotten, or lost.
	Missing uint64
}

// EndOf makes sure that the stream exists as declared, and reads what stands in it. It asks the stream's leader, whose answer is never stale.
func (b *Bus) EndOf(ctx context.Context, stream string) (end End, err error) {
	err = b.ask(ctx, func(ctx context.Context) error {
		end, err = b.endOf(ctx, stream)
		return err
	})
	return end, err
}

func (b *Bus) endOf(ctx context.Context, stream string) (End, error) {
	if err := b.EnsureStream(ctx, stream); err != nil {
		return End{}, err
	}
	return b.standing(ctx, stream)
}

// Standing is EndOf without making or correcting the stream: ErrNoStream says that there is none.
func (b *Bus) Standing(ctx context.Context, stream string) (end End, err error) {
	err = b.ask(ctx, func(ctx context.Context) error {
		end, err = b.standing(ctx, stream)
		return err
	})
	return end, err
}

func (b *Bus) standing(ctx context.Context, stream string) (End, error) {
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return End{}, fmt.Errorf("%w: %s", ErrNoStream, stream)
	}
	if err != nil {
		return End{}, fmt.Errorf("look up stream %s: %w", stream, err)
	}
	for {
		end, err := readEnd(ctx, s, s.CachedInfo().State)
		if !errors.Is(err, errOldestGone) {
			return end, err
		}
		if _, err := s.Info(ctx); err != nil {
			return End{}, fmt.Errorf("look up stream %s: %w", stream, err)
		}
	}
}

// errOldestGone says that the oldest message expired while it was asked for.
var errOldestGone = errors.New("the oldest message is gone")

func readEnd(ctx context.Context, s jetstream.Stream, state jetstream.StreamState) (End, error) {
	end := End{Last: state.LastSeq, First: state.FirstSeq, Messages: state.Msgs, Bytes: state.Bytes}
	if state.Msgs == 0 {
		return end, nil
	}
	end.Missing = state.LastSeq - state.FirstSeq + 1 - state.Msgs
	newest, stored, err := eventAt(ctx, s, state.LastSeq)
	if err != nil {
		return end, passes(err) // nothing stands before the beginning
	}
	end.Newest, end.Stored = newest, stored
	if end.Cursor, err = ParseCursor(newest.Cursor); err != nil {
		return End{}, err
	}
	end.Before, err = beforeOldest(ctx, s, state.FirstSeq)
	return end, err
}

// passes is err, but nil when it only says that there is no event there.
func passes(err error) error {
	if errors.Is(err, ErrMalformed) || errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	return err
}

func beforeOldest(ctx context.Context, s jetstream.Stream, seq uint64) (Cursor, error) {
	e, _, err := eventAt(ctx, s, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Cursor{}, errOldestGone
	}
	if err != nil {
		return Cursor{}, passes(err) // it is a stranger's: nothing to be said
	}
	c, err := ParseCursor(e.Cursor)
	return c.After(e.Lane, e.Position-1), err
}

// cursorAt is the cursor in the message at seq; of a message that is gone, or is not an outbox's, the beginning.
func cursorAt(ctx context.Context, s jetstream.Stream, seq uint64) (Cursor, error) {
	e, _, err := eventAt(ctx, s, seq)
	if err != nil {
		return Cursor{}, passes(err)
	}
	return ParseCursor(e.Cursor)
}

func eventAt(ctx context.Context, s jetstream.Stream, seq uint64) (Event, time.Time, error) {
	m, err := s.GetMsg(ctx, seq)
	if err != nil {
		return Event{}, time.Time{}, fmt.Errorf("read message %d: %w", seq, err)
	}
	e, err := parse(m.Subject, m.Header, m.Data)
	return e, m.Time, err
}

// Empty removes all messages of the stream, so that it can be filled again without a hole. Sequences go on from where they are.
func (b *Bus) Empty(ctx context.Context, stream string) error {
	return b.ask(ctx, func(ctx context.Context) error {
		s, err := b.js.Stream(ctx, stream)
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", stream, err)
		}
		if err := s.Purge(ctx); err != nil {
			return fmt.Errorf("empty stream %s: %w", stream, err)
		}
		return nil
	})
}

// Chain is a run of publishes of which each is accepted only if the message before it in the stream is the one published before it
// in the chain; the first, if the stream still ends where it was seen to end. So whatever another writer does, or did and is still
// underway, the chain as far as it was accepted is an unbroken continuation, and the cursor in its last message is true.
//
// The expected sequence alone does not give that: of two pipelined publishes the first may be refused, and the second find the number it
// expects because a stranger's message took the first one's place. Hence each publish also names its predecessor by message id. Ids are
// those of this chain's attempts and never come again, so the server's duplicate window has nothing to swallow.
type Chain struct {
	bus        *Bus
	stream     string
	connection uint64
	id         string
	sub        *nats.Subscription
	inbox      string
	room       chan struct{} // a token for each publish that may be underway

	last uint64 // the sequence that the next publish expects; used by the publisher only
	sent uint64 // how many were published; used by the publisher only

	mu      sync.Mutex
	acked   uint64
	waiting []underway // in order of publishing, the oldest first
	err     error
	failed  chan struct{}
	clock   *time.Timer
}

type underway struct {
	at   time.Time
	done func(error)
}

// Chain begins a chain after end. It ends with its connection: one that was lost may have taken publishes with it.
func (b *Bus) Chain(stream string, end End) (*Chain, error) {
	connection := b.connection()
	if connection == 0 {
		return nil, ErrDisconnected
	}
	id := nats.NewInbox()[len(nats.InboxPrefix):]
	c := &Chain{
		bus: b, stream: stream, connection: connection, id: id, inbox: b.nc.NewInbox() + ".",
		room: make(chan struct{}, Window), last: end.Last, failed: make(chan struct{}),
	}
	sub, err := b.nc.Subscribe(c.inbox+"*", c.answer)
	if err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	c.sub = sub
	c.clock = time.AfterFunc(ackTimeout, c.checkTime)
	return c, nil
}

// Publish sends e as the next of the chain. It waits while the window is full, and never for e's own acknowledgement: done is called once, in
// order, when e was stored or the chain failed. After a failure nothing more of the chain can be stored, and Publish returns it.
func (c *Chain) Publish(ctx context.Context, e Event, done func(error)) error {
	select {
	case c.room <- struct{}{}:
	case <-c.failed:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !c.enlist(done) {
		return c.Err()
	}
	msg := &nats.Msg{Subject: e.Subject(), Reply: c.inbox + strconv.FormatUint(c.sent, 10), Header: headersOf(e), Data: e.Data}
	c.fence(msg.Header)
	c.sent++
	c.last++
	if err := c.bus.nc.PublishMsg(msg); err != nil {
		c.fail(fmt.Errorf("publish: %w", err))
		return c.Err()
	}
	return nil
}

func (c *Chain) fence(h nats.Header) {
	h[jetstream.ExpectedStreamHeader] = []string{c.stream}
	h[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(c.last, 10)}
	h[jetstream.MsgIDHeader] = []string{c.attempt(c.sent)}
	if c.sent > 0 {
		h[jetstream.ExpectedLastMsgIDHeader] = []string{c.attempt(c.sent - 1)}
	}
}

func (c *Chain) attempt(n uint64) string { return c.id + "-" + strconv.FormatUint(n, 10) }

func (c *Chain) enlist(done func(error)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.waiting = append(c.waiting, underway{at: time.Now(), done: done})
	return true
}

// answer takes one acknowledgement. They come in the order of publishing; one that does not means that one was lost.
func (c *Chain) answer(m *nats.Msg) {
	if err := refusal(m); err != nil {
		c.fail(err)
		return
	}
	n, err := strconv.ParseUint(m.Subject[len(c.inbox):], 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	if c.err != nil || n < c.acked {
		c.mu.Unlock()
		return
	}
	// A later one accepted proves the earlier ones stored, because each names its predecessor.
	count := int(n - c.acked + 1)
	ready := c.waiting[:count:count]
	c.waiting = c.waiting[count:]
	c.acked = n + 1
	c.mu.Unlock()
	for _, u := range ready {
		u.done(nil)
		<-c.room
	}
}

// refusal is the error in an acknowledgement, if it is one.
func refusal(m *nats.Msg) error {
	if len(m.Data) == 0 {
		return fmt.Errorf("publish: %w", nats.ErrNoResponders) // no stream takes the subject
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return fmt.Errorf("publish: acknowledgement: %w", err)
	}
	if ack.Error == nil {
		return nil
	}
	switch ack.Error.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, errCodeWrongLastMsgID:
		return fmt.Errorf("publish: %w: %w", ErrFenced, ack.Error)
	}
	return fmt.Errorf("publish: %w", ack.Error)
}

// errCodeWrongLastMsgID is JSStreamWrongLastMsgIDErrF of the server's errors.json, which nats.go has no name for.
const errCodeWrongLastMsgID jetstream.ErrorCode = 10070

func (c *Chain) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	close(c.failed)
	given := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, u := range given {
		u.done(err)
	}
}

// checkTime gives the chain up when its oldest publish is too old, and looks again later.
func (c *Chain) checkTime() {
	c.mu.Lock()
	late := len(c.waiting) > 0 && time.Since(c.waiting[0].at) > ackTimeout
	over := c.err != nil
	c.mu.Unlock()
	switch {
	case over:
	case late:
		c.fail(fmt.Errorf("publish: %w within %v", ErrUnanswered, ackTimeout))
	default:
		c.clock.Reset(ackTimeout / 2)
	}
}

// Failed is closed when the chain failed.
func (c *Chain) Failed() <-chan struct{} { return c.failed }

// Err is why the chain failed, nil if it did not.
func (c *Chain) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Unbroken reports whether the chain's connection is still the one it began on.
func (c *Chain) Unbroken() bool { return c.Err() == nil && c.bus.connection() == c.connection }

// errClosed ends what a closed chain left unacknowledged.
var errClosed = errors.New("chain closed")

// Close ends the chain; what is unacknowledged may or may not be stored.
func (c *Chain) Close() {
	c.fail(errClosed)
	c.clock.Stop()
	_ = c.sub.Unsubscribe() // only fails when the connection is closed for good
}

// Drain waits until everything published is acknowledged, or the chain failed. Nothing may be published meanwhile.
func (c *Chain) Drain(ctx context.Context) error {
	for range Window {
		select {
		case c.room <- struct{}{}:
		case <-c.failed:
			return c.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range Window {
		<-c.room
	}
	return nil
}

// Last is the stream's last sequence as the chain has it, once it is drained.
func (c *Chain) Last() uint64 { return c.last }
