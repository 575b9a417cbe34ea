package outbox

import (
	"context"
	"time"
)

// RelayWithoutLock relays as one that leads, without asking whether it may.
func RelayWithoutLock(ctx context.Context, o *Outbox) {
	for ctx.Err() == nil {
		j, err := openJournal(ctx, o.db.Pool())
		if err != nil {
			continue
		}
		o.cfg.Poll = time.Millisecond
		r := &relay{Outbox: o, journal: j, stopping: make(chan struct{})}
		_ = r.lead(ctx) // ends with ctx
		j.close()
	}
}
