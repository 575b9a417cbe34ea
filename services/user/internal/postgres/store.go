// Package postgres keeps workspaces, invitations, people, sessions and signing keys. It is every Store of the domain packages.
//
// It promises: whatever changes and the events that tell of it are one transaction, the events last; rows of another workspace are neither
// seen nor written, because the database says so and not because a condition here does. Imports gorm, pg, event, the generated events and
// the domain packages.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/user/internal/tenant"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() fs.FS { return migrations }

// Outbox takes the events of a transaction; call it last in it.
type Outbox interface {
	Append(tx *gorm.DB, events ...event.Event) error
	// Forget takes the last event of a workspace, and removes what those before it told.
	Forget(tx *gorm.DB, last event.Event) error
}

// Store is a person.Store, a session.Store, a workspace.Store, an admission.Store and a keyring.Store.
type Store struct {
	db     *pg.DB
	outbox Outbox
}

// New keeps all in db and tells outbox.
func New(db *pg.DB, outbox Outbox) *Store { return &Store{db: db, outbox: outbox} }

// in runs fn in one transaction of a workspace.
func (s *Store) in(ctx context.Context, id tenant.ID, fn func(tx *gorm.DB) error) error {
	return s.db.InWorkspace(ctx, string(id), fn)
}

// one takes the single row of query into row, or answers missing.
func one[T any](query *gorm.DB, row *T, missing error) error {
	err := query.Take(row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return missing
	}
	if err != nil {
		return fmt.Errorf("read %T: %w", *row, err)
	}
	return nil
}

// exec runs a statement and says what it was for when it fails.
func exec(tx *gorm.DB, what, query string, args ...any) error {
	if err := tx.Exec(query, args...).Error; err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
