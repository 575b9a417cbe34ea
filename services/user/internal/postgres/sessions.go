package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/tenant"
)

// maxSessions of one person: the oldest ends when another begins.
const maxSessions = 100

type sessionRow struct {
	WorkspaceID string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	PersonID    string
	Secret      []byte
	Generation  int64
	TokenHash   []byte
	Recent      moments
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// TableName is gorm's way to learn it.
func (sessionRow) TableName() string { return "sessions" }

func sessionRowOf(s session.Session) sessionRow {
	return sessionRow{
		WorkspaceID: string(s.Workspace), ID: string(s.ID), PersonID: string(s.Person), Secret: s.Secret, Generation: int64(s.Generation),
		TokenHash: s.TokenHash, Recent: s.Recent, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt,
	}
}

func (r sessionRow) session() session.Session {
	return session.Session{
		ID: session.ID(r.ID), Workspace: tenant.ID(r.WorkspaceID), Person: person.ID(r.PersonID), Secret: r.Secret,
		Generation: uint32(r.Generation), TokenHash: r.TokenHash, Recent: r.Recent, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
	}
}

// Join saves a new person and their first session, if they are admitted. Whether or not they came by it, an invitation of theirs is used up.
func (s *Store) Join(ctx context.Context, a admission.Application, p person.Person, opened session.Session, facts ...person.Fact) error {
	return s.in(ctx, p.Workspace, func(tx *gorm.DB) error {
		if err := admit(tx, p.Workspace, a); err != nil {
			return err
		}
		if err := exec(tx, "use invitation", "delete from invitations where email = ?", string(p.Email)); err != nil {
			return err
		}
		if err := addPerson(tx, p); err != nil {
			return err
		}
		if err := addSession(tx, opened); err != nil {
			return err
		}
		return s.conclude(tx, p.Workspace, facts)
	})
}

// Open saves another session of p, unless p changed since the password was checked.
func (s *Store) Open(ctx context.Context, p person.Person, opened session.Session, rehashed person.PasswordHash) error {
	return s.in(ctx, p.Workspace, func(tx *gorm.DB) error {
		now, err := lockPerson(tx, p.ID)
		switch {
		case errors.Is(err, person.ErrNotFound):
			return session.ErrWrongCredentials
		case err != nil:
			return err
		case !now.Active || now.Password != p.Password:
			return session.ErrWrongCredentials
		}
		if rehashed != "" {
			now.Password = rehashed
			if err := savePerson(tx, now); err != nil {
				return err
			}
		}
		if err := forgetOldSessions(tx, opened); err != nil {
			return err
		}
		return addSession(tx, opened)
	})
}

// Change locks a session, asks change, and saves what came of it.
func (s *Store) Change(
	ctx context.Context, in tenant.ID, id session.ID, change func(*session.Session) ([]person.Fact, error),
) (person.Person, error) {
	var who personRow
	err := s.in(ctx, in, func(tx *gorm.DB) error {
		var row sessionRow
		locked := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", string(id))
		if err := one(locked, &row, session.ErrEnded); err != nil {
			return err
		}
		who = personRow{}
		if err := one(tx.Where("id = ? and active", row.PersonID), &who, session.ErrEnded); err != nil {
			return err
		}
		have := row.session()
		generation := have.Generation
		facts, err := change(&have)
		if err != nil {
			return err
		}
		if have.Generation != generation {
			if err := saveSession(tx, have); err != nil {
				return err
			}
		}
		return s.conclude(tx, in, facts)
	})
	return who.person(), err
}

// SignedIn is the active person of a session that goes on.
func (s *Store) SignedIn(ctx context.Context, in tenant.ID, who person.ID, id session.ID, now time.Time) (person.Person, error) {
	const alive = `id = ? and active and exists (
		select from sessions s where s.workspace_id = people.workspace_id and s.person_id = people.id and s.id = ? and s.expires_at > ?)`
	var row personRow
	err := s.in(ctx, in, func(tx *gorm.DB) error {
		return one(tx.Where(alive, string(who), string(id), now), &row, session.ErrEnded)
	})
	return row.person(), err
}

func addSession(tx *gorm.DB, opened session.Session) error {
	r := sessionRowOf(opened)
	if err := tx.Create(&r).Error; err != nil {
		return fmt.Errorf("add session: %w", err)
	}
	return nil
}

func saveSession(tx *gorm.DB, changed session.Session) error {
	r := sessionRowOf(changed)
	return exec(tx, "save session", "update sessions set generation = ?, token_hash = ?, recent = ? where id = ?",
		r.Generation, r.TokenHash, r.Recent, r.ID)
}

// forgetOldSessions removes what has expired by the time another begins, and the oldest of too many.
func forgetOldSessions(tx *gorm.DB, opened session.Session) error {
	return exec(tx, "forget old sessions", `delete from sessions where person_id = ? and (expires_at <= ? or id in (
		select id from sessions where person_id = ? order by created_at desc, id offset ?))`,
		string(opened.Person), opened.CreatedAt, string(opened.Person), maxSessions-1)
}

func endSessions(tx *gorm.DB, ended person.SessionsEnded) error {
	if len(ended.Sessions) > 0 {
		return exec(tx, "end sessions", "delete from sessions where person_id = ? and id in ?", string(ended.ID), ended.Sessions)
	}
	if ended.Keep != "" {
		return exec(tx, "end other sessions", "delete from sessions where person_id = ? and id <> ?", string(ended.ID), ended.Keep)
	}
	return exec(tx, "end all sessions", "delete from sessions where person_id = ?", string(ended.ID))
}
