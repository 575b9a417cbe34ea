package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/test/client"
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
		{
			name: "the notes' table locked", row: "a note's row locked: all of them, while many people wait for connections",
			lasts: 20 * time.Second, breaks: nothing, during: lockNotes,
			holds: func(_ context.Context, r *round) error { return r.refused(refusalOfMany) },
		},
		{
			name: "the search index locked", row: "a consumer that stands still: nobody may write what it feeds",
			lasts: 30 * time.Second, breaks: nothing, during: lockSearch, holds: writesWentOn,
		},
		{
			name: "the relay's lock held by a stranger", row: "two replicas of a service, neither of which may relay",
			lasts: 20 * time.Second, breaks: nothing, during: holdRelay, holds: writesWentOn, hushed: true,
		},
	}
}

const (
	// refusal is how soon a write has to be refused: 300 ms, and what the way there takes on a machine that is busy with all of it.
	refusal = 600 * time.Millisecond
	// refusalOfMany is of those who wait for a connection first and for a lock then, each for its time, while many others do.
	refusalOfMany = time.Second
)

// refusedSoon: who could not write was told so soon, and when to come back.
func refusedSoon(_ context.Context, r *round) error { return r.refused(refusal) }

// refused: 99 of 100 who could not write were told so within a time, and all when to come back. A request that was under way when the fault began may have
// taken its connection's timeout.
func (r *round) refused(soon time.Duration) error {
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
	r.check(late < 3*time.Second*r.leniency() && (refused < 20 || p99 < soon*r.leniency()), "refused within %v (p99 %v)",
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
	return r.locked(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}, "select from notes where id = $1 for update", r.shift.Notes[0])
}

// locked does something beside the fault, which is what a statement locks, by somebody who forgets to commit.
func (r *round) locked(ctx context.Context, beside func(ctx context.Context) error, statement string, args ...any) error {
	return r.admin(ctx, "notes", func(conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, statement, args...); err != nil {
			return err
		}
		ending, cancel := context.WithTimeout(ctx, r.lasts())
		defer cancel()
		return errors.Join(beside(ending), tx.Rollback(ctx))
	})
}

// crowdOfReaders ask at once, far more than there are connections to the database.
const crowdOfReaders = 60

// lockNotes lets nobody read or write a note. Whoever asks waits for the lock with a connection, or for a connection.
func lockNotes(ctx context.Context, r *round) error {
	var asked atomic.Int64
	err := r.locked(ctx, func(ctx context.Context) error {
		var all sync.WaitGroup
		for range crowdOfReaders {
			all.Go(func() {
				for ctx.Err() == nil {
					if _, err := r.crew.Cat.Note(ctx, r.shift.Notes[0]); client.StatusOf(err) == http.StatusServiceUnavailable {
						asked.Add(1)
					}
					wait(ctx, 100*time.Millisecond)
				}
			})
		}
		all.Wait()
		return nil
	}, "lock table notes in access exclusive mode")
	if err != nil {
		return err
	}
	cancelled, err := r.total(ctx, "note", "pgxpool_canceled_acquires_total")
	r.check(asked.Load() > 0 && cancelled > 0, "%d reads were refused, %.0f waited in vain for a connection", asked.Load(), cancelled)
	return err
}

// lockSearch lets nobody write to the search index; it can be read.
func lockSearch(ctx context.Context, r *round) error {
	return r.locked(ctx, func(ctx context.Context) error {
		searches, failed := 0, 0
		for ; ctx.Err() == nil; wait(ctx, time.Second) {
			if _, err := r.crew.Cat.List(ctx, "q=begin"); err != nil && ctx.Err() == nil && client.StatusOf(err) != http.StatusUnauthorized {
				failed++
			}
			searches++
		}
		r.check(failed*100 <= searches, "%d searches meanwhile, %d failed", searches, failed)
		return nil
	}, "lock table note_search in exclusive mode")
}

// holdRelay takes the lock of the one that relays, and keeps it.
func holdRelay(ctx context.Context, r *round) error {
	const holder = `select a.pid, l.classid::bigint, l.objid::bigint from pg_locks l join pg_stat_activity a using (pid)
		where a.application_name = 'outbox relay' and a.datname = current_database() and l.locktype = 'advisory' and l.granted`
	const take = "select pg_terminate_backend($1, 1000), pg_try_advisory_lock($2, $3)"
	return r.admin(ctx, "notes", func(conn *pgx.Conn) error {
		for {
			var pid int32
			var class, stream int64
			if err := conn.QueryRow(ctx, holder).Scan(&pid, &class, &stream); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			var ended, got bool
			if err := conn.QueryRow(ctx, take, pid, int32(class), int32(stream)).Scan(&ended, &got); err != nil { //nolint:gosec // as they were given, two halves of 32 bits
				return err
			}
			if got {
				break
			}
		}
		wait(ctx, r.lasts())
		for _, name := range r.Names("note") {
			if v, err := r.metric(ctx, name, "relay_leader"); err != nil || v != 0 {
				return fmt.Errorf("%s relays (%v, %w)", name, v, err)
			}
		}
		return nil // the session ends, and the lock with it
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
	return r.refused(refusal)
}
