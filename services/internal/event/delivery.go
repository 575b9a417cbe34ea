package event

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Delivery is one message handed to a consumer, to be answered with Ack or Retry.
type Delivery struct {
	// Event is what could be read of it, Err (ErrMalformed) what could not. The id is never empty: a message without one gets an id made of
	// its place in the stream.
	Event Event
	Err   error
	// Seq is the message's sequence in the stream, and Attempt counts its deliveries from 1.
	Seq     uint64
	Attempt uint64
	// Stored is when the stream took it.
	Stored time.Time

	stream      string
	consumerSeq uint64
	msg         jetstream.Msg
}

func (r *Reader) delivery(m jetstream.Msg) Delivery {
	d := Delivery{stream: r.cfg.Stream, msg: m}
	if meta, err := m.Metadata(); err == nil {
		d.Seq, d.Attempt, d.Stored = meta.Sequence.Stream, meta.NumDelivered, meta.Timestamp
		d.consumerSeq = meta.Sequence.Consumer
	}
	d.Event, d.Err = parse(originalSubject(m.Subject(), m.Headers()), m.Headers(), m.Data())
	if !canonicalUUID(d.Event.ID) {
		d.Event.ID = uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d/%d", d.stream, d.Seq, d.Stored.UnixNano())).String()
	}
	return d
}

// originalSubject is where a message was published first: a dead letter says so in a header.
func originalSubject(subject string, h nats.Header) string {
	if original := h.Get(headerDeadSubject); original != "" {
		return original
	}
	return subject
}

// Mark is this delivery as a mark.
func (d Delivery) Mark() Mark {
	return Mark{Seq: d.Seq, EventID: d.msg.Headers().Get(headerID), Cursor: d.Event.Cursor}
}

// Ack says that it took effect, or never will. An ack that gets lost means one more delivery.
func (d Delivery) Ack() error {
	if err := d.msg.Ack(); err != nil {
		return fmt.Errorf("ack: %w", err)
	}
	return nil
}

// Retry asks for it again after the delay.
func (d Delivery) Retry(after time.Duration) error {
	if err := d.msg.NakWithDelay(after); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	return nil
}

// Working says that it is still being worked on: AckWait begins anew.
func (d Delivery) Working() error {
	if err := d.msg.InProgress(); err != nil {
		return fmt.Errorf("in progress: %w", err)
	}
	return nil
}
