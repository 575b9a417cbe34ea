package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/test/faults/history"
)

// databaseFaults are faults of PostgreSQL.
func databaseFaults() []scenario {
	return []scenario{
		{
			name: "PostgreSQL killed", row: "Postgres killed",
			quick: true, lasts: 5 * time.Second, lastsShort: 2 * time.Second,
			breaks: func(_ context.Context, r *round) error { return r.Postgres.Kill() },
			heals:  func(_ context.Context, r *round) error { return r.Postgres.Restart() },
			holds:  refusedSoon,
		},
		{
			name: "PostgreSQL stopped", row: "Postgres stopped 5 min",
			lasts: 5 * time.Minute, lastsShort: 5 * time.Second,
			breaks: func(_ context.Context, r *round) error { return r.Postgres.Freeze() },
			heals:  func(_ context.Context, r *round) error { return r.Postgres.Thaw() },
			holds:  refusedSoon,
		},
		{
			name: "PostgreSQL's connections eaten", row: "its connections eaten by another client",
			lasts: 20 * time.Second, lastsShort: 5 * time.Second, breaks: nothing, during: eatConnections, holds: refusedSoon,
		},
		{
			name: "a note's row locked", row: "a note's row locked 60 s",
			lasts: 60 * time.Second, lastsShort: 5 * time.Second, breaks: nothing, during: lockRow, holds: onlyThatNote,
		},
	}
}

// refusal is how soon a write has to be refused: 300 ms, and what the way there takes on a machine that is busy with all of it.
const refusal = 600 * time.Millisecond

// refusedSoon: who could not write was told so soon, and when to come back. A request that was under way when the fault began may have taken its
// connection's timeout.
func refusedSoon(_ context.Context, r *round) error {
	during := r.writesDuring()
	refused, told, late := 0, 0, time.Duration(0)
	during = slices.DeleteFunc(during, func(w history.Write) bool { return w.Outcome != history.Unknown || w.Begin < r.broken+time.Second })
	for _, w := range during {
		refused++
		if w.Status == 503 && w.RetryAfter {
			told++
		}
		late = max(late, w.End-w.Begin)
	}
	p99 := percentile(during, history.Unknown, 0.99)
	r.check(told == refused && refused > 0, "%d of %d that failed were told 503 and when to come back", told, refused)
	r.check(late < 3*time.Second*r.leniency() && (refused < 20 || p99 < refusal*r.leniency()), "refused within %v (p99 %v)",
		late.Round(time.Millisecond), p99.Round(time.Millisecond))
	return nil
}

// eaters want connections at once.
const eaters = 16

// eatConnections takes every connection there is, those of the services, too.
func eatConnections(ctx context.Context, r *round) error {
	url, err := r.DatabaseURL("notes", "note_app")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.lasts())
	defer cancel()
	var all sync.WaitGroup
	var eaten atomic.Int64
	for range eaters {
		all.Go(func() { eat(ctx, url+"&application_name=eater", &eaten) })
	}
	err = r.admin(ctx, "notes", func(conn *pgx.Conn) error {
		for ctx.Err() == nil {
			// Whoever has one loses it, and finds all taken.
			_, _ = conn.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity where usename in ('note_app', 'user_app') and application_name <> 'eater'`)
			wait(ctx, 100*time.Millisecond)
		}
		return nil
	})
	all.Wait()
	r.check(eaten.Load() > 20, "%d connections were eaten", eaten.Load())
	return err
}

// eat takes connections until ctx ends, and gives them back then.
func eat(ctx context.Context, url string, eaten *atomic.Int64) {
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			wait(ctx, 20*time.Millisecond) // there is none left; somebody may lose one
			continue
		}
		eaten.Add(1)
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // at the end, all of them
	}
}

// lockRow holds the row of the first note.
func lockRow(ctx context.Context, r *round) error {
	return r.admin(ctx, "notes", func(conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "select from notes where id = $1 for update", r.shift.Notes[0]); err != nil {
			return err
		}
		wait(ctx, r.lasts())
		return tx.Rollback(ctx)
	})
}

func onlyThatNote(_ context.Context, r *round) error {
	locked, others := 0, 0
	wrote := map[string]int{}
	for _, w := range r.writesDuring() {
		switch {
		case w.Outcome == history.Acknowledged:
			wrote[w.Note]++
		case w.Outcome == history.Unknown && w.Note == r.shift.Notes[0]:
			locked++
		case w.Outcome == history.Unknown:
			others++
		}
	}
	r.check(locked > 0 && wrote[r.shift.Notes[0]] < wrote[r.shift.Notes[1]]/2, "the locked note refused %d writes", locked)
	r.check(others*100 <= wrote[r.shift.Notes[1]], "the other notes refused %d", others)
	return refusedSoon(context.Background(), r)
}
