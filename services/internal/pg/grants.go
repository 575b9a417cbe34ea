package pg

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// grantsSQL makes the rights of one role what they should be, whatever they were.
//
//go:embed grants.sql
var grantsSQL string

// errNoGrantee says that whoever makes roles has not made the service's yet.
var errNoGrantee = errors.New("the service's role does not exist yet")

// grantAll gives the service's role its rights on everything the owner has made. One transaction: at no time does a
// running service lack a right it had.
func grantAll(ctx context.Context, db *sql.DB, cfg Config) error {
	url, err := fresh(cfg.URLFile, cfg.URL)
	if err != nil {
		url = cfg.URL
	}
	app, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return fmt.Errorf("grants: DATABASE_URL is not a PostgreSQL URL")
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("grants: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	if _, err := tx.ExecContext(ctx, "select set_config('noteworks.grantee', $1, true)", app.User); err != nil {
		return fmt.Errorf("grants: %w", err)
	}
	if _, err := tx.ExecContext(ctx, grantsSQL); sqlState(err) == codeUndefinedObject {
		return fmt.Errorf("%w: %s", errNoGrantee, app.User)
	} else if err != nil {
		return fmt.Errorf("grants to %s: %w", app.User, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("grants: %w", err)
	}
	return nil
}
