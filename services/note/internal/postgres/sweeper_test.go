package postgres_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/note/internal/postgres"
)

//nolint:paralleltest // it compares goroutines before and after
func TestSweeperLifecycle(t *testing.T) {
	db := pgtest.New(t, outbox.Migrations, postgres.Migrations)
	store := postgres.New(db.DB, nil) // there is nothing to tell
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle {
		return postgres.NewSweeper(store, time.Hour, time.Now, telemetry.Discard())
	}, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"),
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"),
		goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}
