package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"noteworks.dev/services/internal/event"
)

// orderAgain is how often an order to the relay is repeated until it can be seen to be carried out: a ping may get lost.
const orderAgain = 250 * time.Millisecond

// ErrNoRelay says that no replica carried an order out in time. It may still happen.
var ErrNoRelay = errors.New("no replica relays")

// Rebuild has the relay, in whichever replica it is, empty the stream and fill it again from the outbox, and returns how many messages were removed, as soon as
// they are. Only the relay may do that: it publishes nothing in between, so consumers get everything again from the oldest event on, in order, and know what
// they have had. ErrNoRelay says that ctx ended first. An empty stream is left to the relay, which fills it anyway.
func (o *Outbox) Rebuild(ctx context.Context) (removed uint64, err error) {
	before, err := o.bus.Standing(ctx, o.cfg.Stream)
	if err != nil || before.Messages == 0 {
		return 0, err
	}
	again := time.NewTicker(orderAgain)
	defer again.Stop()
	for {
		if err := o.bus.OrderRefill(o.cfg.Source, before.Last); err != nil {
			return 0, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", ErrNoRelay, ctx.Err())
		}
		now, err := o.bus.Standing(ctx, o.cfg.Stream)
		if err != nil {
			return 0, err
		}
		if now.First > before.Last {
			return before.Messages, nil
		}
	}
}

// pinged is another replica's wish that the relay look, or its order to refill.
func (o *Outbox) pinged(refill uint64) {
	if refill > 0 && o.leading.Load() {
		o.refill.Store(refill)
	}
	o.wakeHere()
}

// takeOrder reports whether the stream that ends like this is to be filled again by an order, which it strikes off. An order that came again after it was carried
// out speaks of messages that are gone, and means nothing.
func (r *relay) takeOrder(end event.End) bool {
	upTo := r.refill.Swap(0)
	return end.Messages > 0 && end.First <= upTo
}
