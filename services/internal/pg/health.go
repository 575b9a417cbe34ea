package pg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// awayLimit is how long the database may be away before Ready says so: a restart must not take every replica out of rotation.
const awayLimit = 10 * time.Second

// health remembers since when the database has not answered, from what transactions and Ready's own pings meet.
type health struct {
	now func() time.Time

	mu      sync.Mutex
	reached bool // at least once
	away    time.Time
	last    error
}

func newHealth(now func() time.Time) *health { return &health{now: now} }

// record takes the outcome of a try. A try whose own context ended tells nothing.
func (h *health) record(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.reached, h.away, h.last = true, time.Time{}, nil
	case h.away.IsZero():
		h.away, h.last = h.now(), err
	default:
		h.last = err
	}
}

func (h *health) verdict() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.reached:
		return fmt.Errorf("not reached yet: %w", absence(h.last))
	case h.away.IsZero():
		return nil
	}
	if gone := h.now().Sub(h.away); gone >= awayLimit {
		return fmt.Errorf("away for over %s: %w", awayLimit, absence(h.last))
	}
	return nil
}

// Ready returns nil while the database answers, and for 10 s after it stopped to. Before it answered for the first time
// it is an error.
func (db *DB) Ready(ctx context.Context) error {
	ping, cancel := context.WithTimeoutCause(ctx, db.cfg.AcquireTimeout, errNoConnection)
	defer cancel()
	err := db.pool.Ping(ping)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, context.Cause(ping))
	}
	db.health.record(ctx, err)
	return db.health.verdict()
}
