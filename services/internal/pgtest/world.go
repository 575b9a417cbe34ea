// Package pgtest gives each test a database of its own on a real PostgreSQL server: a clone of a template that was migrated once, with an owner
// and a service role that have the rights they have in production.
//
// The server is one for the whole run when NOTEWORKS_TEST_POSTGRES holds a superuser's URL (`make test` sets it through pgtest/run), else one per
// test process, started by the first test that needs it and gone with the process, also after a panic or a kill.
//
// Test-only. Imports testing, pg and embeddedpg.
package pgtest

import (
	"context"
	"io/fs"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/embeddedpg"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/telemetry"
)

const (
	ownerRole = "noteworks_owner"
	appRole   = "noteworks_app"
	// rolePassword is no secret: the server is reached through a private socket and lives as long as the tests.
	rolePassword = "test"

	// patience is for waits that production would not have: on two busy cores with the race detector everything is late.
	patience = 10 * time.Second
)

// World is one test's database.
type World struct {
	// DB is connected as the service's role, which owns nothing and cannot bypass row-level security.
	DB *pg.DB
	// Config is what DB was opened with, and what a server under test may be given.
	Config pg.Config
	// Owner is connected as the owner of the tables. Forced row-level security holds for it, too.
	Owner *pgxpool.Pool
	// Superuser sees every row of every workspace.
	Superuser *pgxpool.Pool
	// Server is the world's own (NewPrivate), to be killed and restarted; nil when the server is shared.
	Server *embeddedpg.Server
}

// New gives t an empty database with the migrations applied. It is dropped when t ends.
func New(t testing.TB, migrations ...fs.FS) *World {
	t.Helper()
	return newWorld(t, sharedServer(t), migrations)
}

// NewPrivate is New on a server of its own, for tests that kill it. It costs about a second.
func NewPrivate(t testing.TB, migrations ...fs.FS) *World {
	t.Helper()
	server := StartServer(t)
	w := newWorld(t, &cluster{adminURL: server.AdminURL()}, migrations)
	w.Server = server
	return w
}

// StartServer starts a server of the test's own, with nothing in it. It stops when t ends.
func StartServer(t testing.TB) *embeddedpg.Server {
	t.Helper()
	server, dir, err := startTemporary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stopAndRemove(server, dir); err != nil {
			t.Error(err)
		}
	})
	return server
}

func newWorld(t testing.TB, c *cluster, migrations []fs.FS) *World {
	t.Helper()
	name, err := c.clone(t.Context(), migrations)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		Config: pg.Config{
			URL:            config.Secret(c.url(name, appRole)),
			MigrateURL:     config.Secret(c.url(name, ownerRole)),
			MaxConns:       8,
			AcquireTimeout: patience,
			LockTimeout:    patience,
		},
		Owner:     openPool(t, c.url(name, ownerRole)),
		Superuser: openPool(t, c.superuserURL(name)),
	}
	w.DB = w.Open(t, w.Config, telemetry.Discard())
	// Registered before the test's own clean-ups, so it runs after them.
	t.Cleanup(func() {
		if err := c.drop(name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	t.Cleanup(func() { closeAll(t, w.DB.Close, w.Owner.Close, w.Superuser.Close) })
	return w
}

// Open opens another pool on the world's database, for tests that want other settings or telemetry. Close it, or leave that to t's end.
func (w *World) Open(t testing.TB, cfg pg.Config, tel *telemetry.Telemetry) *pg.DB {
	t.Helper()
	db, err := pg.Open(t.Context(), cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func openPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 4
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// closeAll closes pools. One that waits for a connection that nobody gives back is a bug of the test or of what it tests.
func closeAll(t testing.TB, closers ...func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, closePool := range closers {
			closePool()
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("a database connection is still in use after the test: something was not stopped")
	}
}

// RequireRowSecurity fails t unless every table with a workspace_id column has forced row-level security and at least one policy. Partitions
// count through their parent: the service's role cannot address them.
func (w *World) RequireRowSecurity(t testing.TB) {
	t.Helper()
	const open = `select c.relname from pg_class c
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
		and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)
		and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy p where p.polrelid = c.oid))
		order by 1`
	rows, err := w.Superuser.Query(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		t.Errorf("table %s has a workspace_id but no forced row-level security with a policy", table)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// Exec runs sql as the superuser, whom row-level security does not stop, and fails t on an error.
func (w *World) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := w.Superuser.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Count is the number a query (`select count(*) ...`) answers to the superuser.
func (w *World) Count(t testing.TB, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := w.Superuser.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// background is for clean-ups: a test's own context has ended by then.
func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}
