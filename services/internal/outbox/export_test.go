package outbox

import (
	"context"
	"time"

	"noteworks.dev/services/internal/event"
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

// Reader reads what is after a cursor, as the relay does.
func Reader(ctx context.Context, o *Outbox) (read func(event.Cursor) (int, error), end func(), err error) {
	j, err := openJournal(ctx, o.db.Pool())
	if err != nil {
		return nil, nil, err
	}
	var rows []event.Event
	return func(c event.Cursor) (int, error) {
		var err error
		rows, err = j.after(ctx, c, rows[:0])
		return len(rows), err
	}, j.close, nil
}
