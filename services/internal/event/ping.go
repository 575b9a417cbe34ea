package event

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// PingSubject is where replicas of a service tell the one that relays that there is something to relay.
func PingSubject(service string) string { return "relay." + service }

// Ping wakes the relay of service in another process, and does not wait for that: whoever has committed something is not to wait for NATS, which
// a publish does while the connection is made anew. Nothing is promised: the relay also looks by itself. A nil Bus pings nobody.
func (b *Bus) Ping(service string) {
	if b == nil { // a process that only writes
		return
	}
	select {
	case b.pings <- service:
	default: // some are on their way, and cannot get there
	}
}

// sendPings sends what Ping was told until ctx ends.
func (b *Bus) sendPings(ctx context.Context) {
	for {
		select {
		case service := <-b.pings:
			_ = b.nc.Publish(PingSubject(service), nil) // while disconnected nobody could hear it
		case <-ctx.Done():
			return
		}
	}
}

// headerRefill makes a ping an order.
const headerRefill = "nw-refill"

// OrderRefill is a ping that also orders: if anything that stood in the stream up to the sequence upTo is still there, empty the stream and fill it again. It
// may be repeated until that can be seen in the stream.
func (b *Bus) OrderRefill(service string, upTo uint64) error {
	order := &nats.Msg{Subject: PingSubject(service), Header: nats.Header{headerRefill: {strconv.FormatUint(upTo, 10)}}}
	if err := b.nc.PublishMsg(order); err != nil {
		return fmt.Errorf("order a refill: %w", err)
	}
	return nil
}

// OnPing calls fn for each ping until stop is called, with the sequence of an order to refill, 0 for a mere ping. fn must not block.
func (b *Bus) OnPing(service string, fn func(refill uint64)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(PingSubject(service), func(m *nats.Msg) {
		upTo, _ := strconv.ParseUint(m.Header.Get(headerRefill), 10, 64) // 0 is what no order says
		fn(upTo)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", PingSubject(service), err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // only fails when the connection is closed for good
}
