// Package postgres keeps notes in PostgreSQL and says what happened to them through the outbox, in one transaction.
//
// It promises what note.Store does. Each change locks the note's row first, then counts what it adds to the workspace, and appends its event
// last: a note that is blocked blocks no other. Roles and audience are those of the moment the row was locked, also after waiting for somebody who changed them.
// Imports its domain, the kit, the generated events and gorm.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/note/internal/note"
)

// Outbox takes events in the transaction of their facts.
type Outbox interface {
	Append(tx *gorm.DB, events ...event.Event) error
	AppendLast(last *pg.Last, events ...event.Event) error
	// Traced is e with the trace context of ctx, as AppendLast expects it.
	Traced(ctx context.Context, e event.Event) event.Event
	// Forget takes the last event of a workspace, and removes what those before it told.
	Forget(tx *gorm.DB, last event.Event) error
}

// Store is note.Store over PostgreSQL.
type Store struct {
	db     *pg.DB
	outbox Outbox
	edits  *edits
}

var _ note.Store = (*Store)(nil)

// New keeps notes in db and tells of them through outbox.
func New(db *pg.DB, outbox Outbox) *Store {
	return &Store{db: db, outbox: outbox, edits: newEdits(db, outbox)}
}

// in is a transaction on behalf of actor, who sees nothing but their workspace.
func (s *Store) in(ctx context.Context, actor note.Actor, fn func(tx *gorm.DB) error) error {
	return s.db.InWorkspace(ctx, string(actor.Workspace), fn)
}

// Create is note.Store's.
func (s *Store) Create(ctx context.Context, actor note.Actor, n note.Note, once *note.Once) (note.Sight, bool, error) {
	var (
		sight    note.Sight
		replayed bool
	)
	err := s.in(ctx, actor, func(tx *gorm.DB) error {
		first, err := claim(tx, actor, n, once)
		if err != nil {
			return err
		}
		if replayed = first != n.ID; replayed {
			sight, err = replay(tx, actor, first)
			return err
		}
		if sight, err = insert(tx, actor, n); err != nil {
			return fmt.Errorf("insert note %s: %w", n.ID, err)
		}
		return s.tell(tx, actor, &sight, note.Created{})
	})
	return sight, replayed, err
}

// Sight is note.Store's.
func (s *Store) Sight(ctx context.Context, actor note.Actor, id note.ID, want note.Act) (note.Sight, error) {
	var sight note.Sight
	err := s.in(ctx, actor, func(tx *gorm.DB) (err error) {
		sight, err = seen(tx, actor, id, want)
		return err
	})
	return sight, err
}

// Update is note.Store's.
func (s *Store) Update(ctx context.Context, actor note.Actor, id note.ID, want note.Act,
	decide func(*note.Sight) (note.Fact, error),
) (note.Sight, error) {
	if want == note.ToEdit {
		sight, err := s.edits.do(ctx, actor, id, decide)
		if !errors.Is(err, errAlone) {
			return sight, err
		}
	}
	return s.updateAlone(ctx, actor, id, want, decide)
}

func (s *Store) updateAlone(ctx context.Context, actor note.Actor, id note.ID, want note.Act,
	decide func(*note.Sight) (note.Fact, error),
) (note.Sight, error) {
	var sight note.Sight
	err := s.change(ctx, actor, id, want, func(got *locked, last *pg.Last) error {
		fact, err := decide(&got.Sight)
		if err != nil {
			return err
		}
		sight = got.Sight
		return s.keepAndTell(ctx, last, actor, got, fact)
	})
	return sight, err
}

// UpdateShare is note.Store's.
func (s *Store) UpdateShare(ctx context.Context, actor note.Actor, id note.ID, who note.PersonID,
	decide func(*note.Sight, note.Role) (note.Fact, error),
) (note.Given, error) {
	var given note.Given
	err := s.change(ctx, actor, id, note.ToShare, func(got *locked, last *pg.Last) error {
		fact, err := decide(&got.Sight, got.roles[who])
		if err != nil {
			return err
		}
		if err := s.keepAndTell(ctx, last, actor, got, fact); err != nil {
			return err
		}
		last.Queue(shareOfOne, id, who).QueryRow(func(row pgx.Row) (err error) {
			given, _, err = one(readGiven, row)
			return err
		})
		return nil
	})
	return given, err
}

// change is a transaction of two round trips on the locked note.
func (s *Store) change(ctx context.Context, actor note.Actor, id note.ID, want note.Act, decide func(*locked, *pg.Last) error) error {
	var (
		got   locked
		found bool
	)
	lock := lockSight
	if want == note.ToMark {
		lock = lockMarks
	}
	return s.db.Exchange(ctx, string(actor.Workspace), func(first *pg.First) {
		first.Queue(lock, id, actor.Person).QueryRow(func(row pgx.Row) (err error) {
			if got, found, err = one(readLocked, row); err != nil {
				return fmt.Errorf("lock note %s: %w", id, err)
			}
			return nil
		})
		if want == note.ToRestore { // one note more: in turn, so that the limit holds
			first.Queue(roomInTurn, turnClass).QueryRow(func(row pgx.Row) (err error) {
				got.room, err = readRoom(row)
				return err
			})
		}
	}, func(last *pg.Last) error {
		if found && !got.whole { // somebody changed who sees it while we waited
			return pg.ErrAnew
		}
		return decide(&got, last)
	})
}

// Guest is note.Store's.
func (s *Store) Guest(ctx context.Context, actor note.Actor, id note.ID, who note.PersonID) (note.Person, bool, error) {
	var (
		guest note.Person
		known bool
	)
	err := s.in(ctx, actor, func(tx *gorm.DB) error {
		_, err := seen(tx, actor, id, note.ToShare)
		if err != nil {
			return err
		}
		guest, known, err = row(tx, readPerson, personByID, who)
		return err
	})
	return guest, known, err
}

// keepAndTell queues what happened to the note, which is as it is after it, or says that the workspace has no room for it.
func (s *Store) keepAndTell(ctx context.Context, last *pg.Last, actor note.Actor, got *locked, fact note.Fact) error {
	if fact == nil {
		return nil
	}
	more := got.Usage().Since(got.was)
	if err := got.room.Takes(more); err != nil {
		return err
	}
	if err := keep(last, actor.Workspace, &got.Sight, fact, more); err != nil {
		return fmt.Errorf("keep %T of note %s: %w", fact, got.ID, err)
	}
	e, err := eventOf(actor, &got.Sight, fact)
	if err != nil {
		return fmt.Errorf("event of %T: %w", fact, err)
	}
	return s.outbox.AppendLast(last, s.outbox.Traced(ctx, e))
}

// tell appends what happened. It comes last: after it the transaction holds its lane.
func (s *Store) tell(tx *gorm.DB, actor note.Actor, sight *note.Sight, fact note.Fact) error {
	e, err := eventOf(actor, sight, fact)
	if err != nil {
		return fmt.Errorf("event of %T: %w", fact, err)
	}
	return s.outbox.Append(tx, e)
}

// seen is the note as actor sees it, if they may want.
func seen(tx *gorm.DB, actor note.Actor, id note.ID, want note.Act) (note.Sight, error) {
	sight, _, err := row(tx, readSight, sightOf, id, actor.Person)
	if err != nil {
		return note.Sight{}, fmt.Errorf("read note %s: %w", id, err)
	}
	if err := sight.May(want); err != nil { // one that was not found has no role
		return note.Sight{}, err
	}
	return sight, nil
}

// claim returns n's id when it is to be written, and the id of the first time when once was used before.
func claim(tx *gorm.DB, actor note.Actor, n note.Note, once *note.Once) (note.ID, error) {
	if once == nil {
		return n.ID, nil
	}
	taken, err := exec(tx, claimKey, actor.Workspace, actor.Person, once.Key, once.Hash[:], n.ID, n.CreatedAt, n.CreatedAt.Add(-keepKeys))
	if err != nil {
		return "", fmt.Errorf("claim idempotency key: %w", err)
	}
	if taken == 1 {
		return n.ID, nil
	}
	first, found, err := row(tx, readClaim, claimedBy, actor.Person, once.Key)
	switch {
	case err != nil:
		return "", fmt.Errorf("read idempotency key: %w", err)
	case !found:
		return "", errs.Unavailable("busy", "The same request is being answered at this moment.")
	case first.hash != string(once.Hash[:]):
		return "", errs.Unprocessable("idempotency-key-reused", "This Idempotency-Key was used for another note.").WithField("Idempotency-Key")
	}
	return first.note, nil
}

type claimed struct {
	hash string
	note note.ID
}

func readClaim(s scanner) (c claimed, err error) {
	var hash []byte
	err = s.Scan(&hash, &c.note)
	c.hash = string(hash)
	return c, err
}

// replay answers as the first time did, with the note as it is now.
func replay(tx *gorm.DB, actor note.Actor, id note.ID) (note.Sight, error) {
	sight, found, err := row(tx, readSight, sightOf, id, actor.Person)
	if err == nil && !found {
		err = errs.Conflict("note-deleted", "The note that was written with this Idempotency-Key has been deleted since.")
	}
	return sight, err
}
