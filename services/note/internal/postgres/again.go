package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/pg"
)

// lockUnchanged fails with stateChanged where a note is not as it is remembered: the function is in the migrations.
const (
	lockUnchanged = `select note_unchanged($1, $2, $3, $4)`
	stateChanged  = "NW001"
)

// errForgotten says that what is remembered of a group's notes is not enough to change them, or not true any more.
var errForgotten = errors.New("the notes have to be read first")

// again does a group upon what its notes were after their last change here, and leaves it to the database to say that they still are.
func (e *edits) again(ctx context.Context, byWorkspace [][]*entry) error {
	err := e.db.Send(ctx, func(last *pg.Last) error {
		for _, group := range byWorkspace {
			if !e.memory.recall(group) {
				return errForgotten
			}
			lockAsRemembered(last, group)
		}
		if err := e.write(last, byWorkspace); err != nil {
			return err
		}
		return allChanged(byWorkspace)
	})
	if pg.IsState(err, stateChanged) {
		return errForgotten
	}
	return err
}

// allChanged is errForgotten unless all are to be written: who is told anything else is told what the database says.
func allChanged(byWorkspace [][]*entry) error {
	for _, group := range byWorkspace {
		for _, one := range group {
			if !one.Value.changed {
				return errForgotten
			}
		}
	}
	return nil
}

func lockAsRemembered(last *pg.Last, group []*entry) {
	ids, people := idsOf(group)
	notes, access := make([]uint32, len(group)), make([]uint32, len(group))
	for i, one := range group {
		notes[i], access[i] = one.Value.mark.note, one.Value.mark.access
	}
	last.In(string(group[0].Value.actor.Workspace))
	last.Queue(lockUnchanged, ids, people, notes, access).QueryRow(func(row pgx.Row) error {
		var own uint32
		err := row.Scan(&own)
		for _, one := range group {
			one.Value.mark.own = own
		}
		return err
	})
}
