package inbox

import (
	"context"
	"time"

	"noteworks.dev/services/internal/event"
)

// LoseAcks makes every nth acknowledgement get lost.
func LoseAcks(n int) func(*Inbox) {
	return func(in *Inbox) {
		count := 0
		in.ack = func(d event.Delivery) error {
			if count++; count%n == 0 {
				return nil
			}
			return d.Ack()
		}
	}
}

// PurgeBefore removes what took effect before t.
func (in *Inbox) PurgeBefore(ctx context.Context, t time.Time) (int64, error) {
	return in.ledger.purge(ctx, t)
}
