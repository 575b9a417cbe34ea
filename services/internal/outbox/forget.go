package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
)

// Forget appends last, the last event of its workspace, and has everything that the workspace's events before it held removed after the commit: from the outbox, the
// stream and the dead letters that came from the stream. NATS being there, that takes seconds. It is Append otherwise, but must be the transaction's only one.
//
// Nobody needs those events any more: whoever has not read them reads last, which says that their workspace is gone. Other workspaces' events, places and cursors
// stay as they are.
func (o *Outbox) Forget(tx *gorm.DB, last event.Event) error {
	// With all lanes locked, whatever got a place before last is committed, and a relay that sees last publishes it first.
	for lane := range event.Lanes {
		if err := exec(tx, "select pg_advisory_xact_lock($1, $2)", int32(laneClass), int32(lane)); err != nil {
			return fmt.Errorf("lock outbox: %w", err)
		}
	}
	rows, err := o.insert(tx, []event.Event{last})
	if err != nil {
		return err
	}
	place := rows.placed[0]
	err = exec(tx, "insert into outbox_forgotten (id, lane, workspace_id, type) values ($1, $2, $3, $4)", place.Position, place.Lane, last.WorkspaceID, last.Type)
	if err != nil {
		return fmt.Errorf("ask to forget a workspace: %w", err)
	}
	pg.AfterCommit(tx, o.look) // not handed over: that would let it pass what is not published yet of other lanes
	return nil
}

func exec(tx *gorm.DB, statement string, args ...any) error {
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, statement, args...)
	return err
}

const (
	// forgetRows and forgetLetters bound one step, and so how long events wait for it.
	forgetRows, forgetLetters = 5000, 200
	// forgetAtMost is how many workspaces one round takes.
	forgetAtMost = 100
	// A round is repeated for a while, after forgetAgain, until forgetSure: a server that dies may have forgotten that it forgot, and an event that is
	// being retried may become a dead letter late.
	forgetAgain, forgetSure = time.Minute, 10 * time.Minute
)

// wish is a workspace to be forgotten, with the place of its last event.
type wish struct {
	id        int64
	last      event.Event
	firstTime bool
}

// round is the forgetting of some workspaces, a step at a time, between which the relay publishes. It may end anywhere and begin again: every step may be done twice,
// and the rows go before the messages, so that whoever finds messages missing finds no rows for them.
type round struct {
	wishes  []wish
	done    int    // of wishes, in outbox and stream
	letters uint64 // where the search for dead letters goes on
	rows    int64
}

// beginForgetting looks for workspaces that are to be forgotten now; again also before it is time when NATS was away and may have come back older.
func (r *relay) beginForgetting(ctx context.Context, again bool) error {
	if r.forgetting != nil {
		return nil
	}
	if again {
		if err := r.journal.forgetAgain(ctx); err != nil {
			return &databaseError{err}
		}
	}
	wishes, err := r.journal.wishes(ctx, r.acked.load())
	if err != nil {
		return &databaseError{err}
	}
	if len(wishes) > 0 {
		r.forgetting = &round{wishes: wishes}
	}
	return nil
}

// forget does the next step of a round, if one has begun, and reports whether there is more to do.
func (r *relay) forget(ctx context.Context) (more bool, err error) {
	f := r.forgetting
	switch {
	case f == nil:
		return false, nil
	case f.done < len(f.wishes):
		return true, r.forgetEvents(ctx, f)
	}
	f.letters, err = r.bus.ForgetLetters(ctx, r.cfg.Stream, f.workspaces(), f.letters, forgetLetters)
	if err != nil || f.letters > 0 {
		return true, err
	}
	r.forgetting = nil
	if err := r.journal.forgot(ctx, f.wishes); err != nil {
		return false, &databaseError{err}
	}
	if n := f.firstTimes(); n > 0 {
		r.log.InfoContext(ctx, "workspaces forgotten", slog.Int("workspaces", n), slog.Int64("rows", f.rows))
	}
	return false, nil
}

// forgetEvents removes some rows of a workspace, or, when there are none left, its messages.
func (r *relay) forgetEvents(ctx context.Context, f *round) error {
	w := f.wishes[f.done]
	removed, err := r.journal.forget(ctx, w)
	if err != nil {
		return &databaseError{err}
	}
	f.rows += removed
	if removed >= forgetRows {
		return nil
	}
	if err := r.bus.Forget(ctx, r.cfg.Stream, w.last); err != nil {
		return err
	}
	f.done++
	return nil
}

func (f *round) workspaces() map[string]bool {
	all := make(map[string]bool, len(f.wishes))
	for _, w := range f.wishes {
		all[w.last.WorkspaceID] = true
	}
	return all
}

func (f *round) firstTimes() (n int) {
	for _, w := range f.wishes {
		if w.firstTime {
			n++
		}
	}
	return n
}

// forgetAgain makes all that is not sure to be forgotten due.
func (j *journal) forgetAgain(ctx context.Context) error {
	if _, err := j.conn.Exec(ctx, "update outbox_forgotten set due_at = clock_timestamp() where due_at > clock_timestamp()"); err != nil {
		return fmt.Errorf("look for workspaces to forget: %w", err)
	}
	return nil
}

// wishes are those that are due and whose last event is in the stream, and so everything before it.
func (j *journal) wishes(ctx context.Context, published event.Cursor) ([]wish, error) {
	found, err := j.conn.Query(ctx, `select id, workspace_id::text, type, done_at is null from outbox_forgotten
		where due_at <= clock_timestamp() and id <= ($1::bigint[])[lane + 1] order by due_at limit $2`, published[:], forgetAtMost)
	if err != nil {
		return nil, fmt.Errorf("look for workspaces to forget: %w", err)
	}
	defer found.Close()
	var all []wish
	for found.Next() {
		var w wish
		if err := found.Scan(&w.id, &w.last.WorkspaceID, &w.last.Type, &w.firstTime); err != nil {
			return nil, fmt.Errorf("look for workspaces to forget: %w", err)
		}
		all = append(all, w)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("look for workspaces to forget: %w", err)
	}
	return all, nil
}

// forget removes the oldest rows of a workspace before its last event, at most forgetRows.
func (j *journal) forget(ctx context.Context, w wish) (removed int64, err error) {
	done, err := j.conn.Exec(ctx, `delete from outbox where workspace_id = $1 and id < coalesce(
		(select id from outbox where workspace_id = $1 and id < $2 order by id offset $3 limit 1), $2)`, w.last.WorkspaceID, w.id, forgetRows)
	if err != nil {
		return 0, fmt.Errorf("forget events: %w", err)
	}
	return done.RowsAffected(), nil
}

// forgot strikes off what was asked for and is sure to be done, and has the rest done again.
func (j *journal) forgot(ctx context.Context, wishes []wish) error {
	ids := make([]int64, len(wishes))
	for i, w := range wishes {
		ids[i] = w.id
	}
	_, err := j.conn.Exec(ctx, `with sure as (delete from outbox_forgotten where id = any($1) and done_at < clock_timestamp() - $3::interval)
		update outbox_forgotten set due_at = clock_timestamp() + $2::interval, done_at = coalesce(done_at, clock_timestamp())
		where id = any($1) and (done_at is null or done_at >= clock_timestamp() - $3::interval)`, ids, forgetAgain.String(), forgetSure.String())
	if err != nil {
		return fmt.Errorf("strike off what is forgotten: %w", err)
	}
	return nil
}
