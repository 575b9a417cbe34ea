package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
)

// ledger is the inbox's tables, seen by one consumer.
type ledger struct {
	db       *pg.DB
	consumer string
}

// Statements go to the connection as they are: gorm would take arrays apart and cost more than the statement does.
const (
	// Sorted, so that two replicas with overlapping batches do not deadlock.
	claimSQL = `insert into inbox (consumer, event_id) select $1, id from unnest($2::uuid[]) as id order by id
		on conflict do nothing returning event_id::text`
	// A replayed event has a row, which says parked; without that it has taken effect since.
	reclaimSQL = `insert into inbox (consumer, event_id) select $1, id from unnest($2::uuid[]) as id order by id
		on conflict (consumer, event_id) do update set parked = null, processed_at = clock_timestamp() where inbox.parked is not null
		returning event_id::text`
	markSQL = `insert into inbox_mark as m (consumer, seq, event_id, cursor) values ($1, $2, $3, $4)
		on conflict (consumer) do update set seq = excluded.seq, event_id = excluded.event_id, cursor = excluded.cursor where m.seq < excluded.seq`
	parkSQL = `insert into inbox (consumer, event_id, parked) values ($1, $2, $3)
		on conflict (consumer, event_id) do update set parked = excluded.parked`
	purgeSQL = `delete from inbox where ctid = any (array(select ctid from inbox where processed_at < $1 limit $2))`
)

// claim records ids as done by this transaction, and answers those that were not done before.
func (l ledger) claim(tx *gorm.DB, ids []string, replay bool) (map[string]bool, error) {
	query := claimSQL
	if replay {
		query = reclaimSQL
	}
	rows, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, query, l.consumer, ids)
	if err != nil {
		return nil, fmt.Errorf("claim events: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is Err's
	fresh := make(map[string]bool, len(ids))
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("claim events: %w", err)
		}
		fresh[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("claim events: %w", err)
	}
	return fresh, nil
}

// mark moves the consumer's mark forward. It comes last in a transaction, because all replicas meet at this row.
func (l ledger) mark(tx *gorm.DB, m event.Mark) error {
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, markSQL, l.consumer, int64(m.Seq), m.EventID, m.Cursor)
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	return nil
}

// park records that an event was given up. m is nil for a replayed one.
func (l ledger) park(ctx context.Context, id, reason string, m *event.Mark) error {
	return l.db.Tx(ctx, func(tx *gorm.DB) error {
		if _, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, parkSQL, l.consumer, id, reason); err != nil {
			return fmt.Errorf("record parked event: %w", err)
		}
		if m == nil {
			return nil
		}
		return l.mark(tx, *m)
	})
}

// Load implements event.Marks.
func (l ledger) Load(ctx context.Context) (event.Mark, error) {
	var m event.Mark
	err := l.db.Tx(ctx, func(tx *gorm.DB) error {
		var seq int64
		err := tx.Statement.ConnPool.QueryRowContext(tx.Statement.Context,
			"select seq, event_id, cursor from inbox_mark where consumer = $1", l.consumer).Scan(&seq, &m.EventID, &m.Cursor)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		m.Seq = uint64(seq)
		return err
	})
	return m, err
}

// Forget implements event.Marks. Parked events are forgotten, too: their dead letters may be lost with the stream, and they are tried, and parked, again.
func (l ledger) Forget(ctx context.Context) error {
	return l.db.Tx(ctx, func(tx *gorm.DB) error {
		for _, query := range []string{
			"delete from inbox where consumer = $1 and parked is not null",
			"delete from inbox_mark where consumer = $1",
		} {
			if _, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, query, l.consumer); err != nil {
				return fmt.Errorf("forget: %w", err)
			}
		}
		return nil
	})
}

// purge removes rows of before t, of all consumers, a few thousand at a time.
func (l ledger) purge(ctx context.Context, t time.Time) (removed int64, err error) {
	const atATime = 5000
	for {
		var n int64
		err := l.db.Tx(ctx, func(tx *gorm.DB) error {
			result, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, purgeSQL, t, atATime)
			if err != nil {
				return fmt.Errorf("purge inbox: %w", err)
			}
			n, err = result.RowsAffected()
			return err
		})
		removed += n
		if err != nil || n < atATime {
			return removed, err
		}
	}
}
