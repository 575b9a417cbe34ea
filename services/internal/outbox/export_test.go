package outbox

import (
	"context"
	"errors"
	"time"

	"noteworks.dev/services/internal/event"
)

// RelayWithoutLock relays as one that leads, without asking whether it may.
func RelayWithoutLock(ctx context.Context, o *Outbox) {
	for ctx.Err() == nil {
		j, err := openJournal(ctx, o.db.Pool(), o.cfg.Silence)
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
	j, err := openJournal(ctx, o.db.Pool(), o.cfg.Silence)
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

// Hang becomes the one that relays, and does nothing, until end is called.
func Hang(ctx context.Context, o *Outbox) (end func(), err error) {
	j, err := openJournal(ctx, o.db.Pool(), o.cfg.Silence)
	if err != nil {
		return nil, err
	}
	leads, err := j.lead(ctx, o.cfg.Stream)
	if err == nil && !leads {
		err = errors.New("somebody else relays")
	}
	if err != nil {
		j.close()
		return nil, err
	}
	return j.close, nil
}
