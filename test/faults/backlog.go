package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/test/faults/history"
)

// backlogFaults are of many events that wait.
func backlogFaults() []scenario {
	return []scenario{
		{
			name: "a backlog, then NATS returns", row: "a backlog of 1 million outbox rows, then NATS returns", own: true,
			lasts: time.Second, breaks: killNATS, during: fillOutbox, heals: startAll, within: 5 * time.Minute, holds: drains,
		},
	}
}

const (
	// laneClass is the first half of the advisory locks of the outbox's lanes, which writers hold until they commit.
	laneClass, lanes = 0x6e77_01, 4

	backlog, backlogShort = 1_000_000, 20_000
	// chunk is how many rows are added at once: the lock of a lane is held as long, by which writers wait.
	chunk = 500
)

func (r *round) backlog() int {
	if r.short {
		return backlogShort
	}
	return backlog
}

// fillOutbox adds events of a note that nobody reads, as its service would: each lane's lock first.
func fillOutbox(ctx context.Context, r *round) error {
	n, err := r.crew.Ann.Create(ctx, "Filler", "filler")
	if err != nil {
		return err
	}
	if _, err := r.crew.Ann.Change(ctx, n.ID, n.Version, "filler again"); err != nil {
		return err
	}
	const lock = "select pg_advisory_xact_lock($1, $2)"
	const like = `create temporary table filler as select * from outbox where key = $1 and type = 'note.v1.NoteChanged' order by id limit 1`
	const add = `insert into outbox (lane, event_id, workspace_id, type, key, occurred_at, audience, traceparent, tracestate, data)
		select $1, gen_random_uuid(), workspace_id, type, key, occurred_at, audience, '', '', data from filler, generate_series(1, $2::int)`
	filling := patient(context.WithoutCancel(ctx), 10*time.Minute) // as long as it takes
	return r.admin(filling, "notes", func(conn *pgx.Conn) error {
		if _, err := conn.Exec(filling, like, pgx.QueryExecModeSimpleProtocol, n.ID); err != nil { // which may have no parameters otherwise
			return err
		}
		for done := 0; done < r.backlog(); done += chunk {
			lane := done / chunk % lanes
			if err := pgx.BeginFunc(filling, conn, func(tx pgx.Tx) error {
				if _, err := tx.Exec(filling, lock, laneClass, lane); err != nil {
					return err
				}
				got, err := tx.Exec(filling, add, lane, chunk)
				if err == nil && got.RowsAffected() != chunk {
					err = fmt.Errorf("%d rows for the filler were added, not %d", got.RowsAffected(), chunk)
				}
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// drains: all of it is published, and writes were at most twice as slow meanwhile.
func drains(ctx context.Context, r *round) error {
	began := time.Now()
	waiting := patient(ctx, 5*time.Minute)
	for {
		name, err := r.relay(waiting)
		if err != nil {
			return err
		}
		if behind, err := r.metric(waiting, name, "outbox_pending"); err == nil && behind < chunk {
			break
		}
		wait(waiting, 200*time.Millisecond)
	}
	r.check(true, "%d events drained, the last within %v after the end", r.backlog(), time.Since(began).Round(100*time.Millisecond))
	var before, after []history.Write
	for _, w := range r.shift.History.Writes() {
		switch {
		case w.End < r.broken:
			before = append(before, w)
		case w.Begin > r.healed:
			after = append(after, w)
		}
	}
	was, is := percentile(before, history.Acknowledged, 0.99), percentile(after, history.Acknowledged, 0.99)
	r.check(is < 2*was+50*time.Millisecond*r.leniency(), "write p99 %v, %v while it drained", was.Round(time.Millisecond), is.Round(time.Millisecond))
	return nil
}
