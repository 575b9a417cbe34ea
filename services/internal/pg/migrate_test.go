package pg_test

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
)

func sqlFile(text string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
}

// slow has a second migration that waits for a lock the test holds: a place to be killed at.
func slow() fstest.MapFS {
	return fstest.MapFS{
		"00100_first.sql": sqlFile("create table first (n int);"),
		"00101_second.sql": sqlFile(`create table second (n int);
			select pg_advisory_xact_lock(4711);
			insert into second values (1);`),
		"00102_third.sql": sqlFile("create table third (n int);"),
	}
}

const waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database() and not granted"

// hold takes the lock that slow waits for, until release.
func hold(t *testing.T, w *pgtest.World) (release func()) {
	t.Helper()
	conn, err := w.Superuser.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "select pg_advisory_lock(4711)"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), "select pg_advisory_unlock(4711)"); err != nil {
			t.Error(err)
		}
		conn.Release()
	}
}

func TestAMigrationKilledHalfWayIsFinishedByTheNextRun(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t)
	release := hold(t, w)
	done := make(chan error, 1)
	go func() { done <- pg.Migrate(t.Context(), w.Config, slow()) }()
	until(t, "it is in the middle of the second", func() bool { return w.Count(t, waiting) == 1 })
	// As the server sees a killed program: the connection ends.
	w.Exec(t, `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'noteworks_owner'`)
	if err := <-done; err == nil {
		t.Fatal("the killed one reported success")
	}
	if n := w.Count(t, "select count(*) from pg_tables where tablename in ('first', 'second', 'third')"); n != 1 {
		t.Errorf("%d tables after the kill, want the first migration whole and the second not at all", n)
	}
	release()

	if err := pg.Migrate(t.Context(), w.Config, slow()); err != nil {
		t.Fatalf("the rerun: %v", err)
	}
	if n := w.Count(t, "select count(*) from second"); n != 1 {
		t.Errorf("the second migration ran %d times", n)
	}
	if n := w.Count(t, "select count(*) from pg_tables where tablename = 'third'"); n != 1 {
		t.Error("the third migration is missing")
	}
}

func TestOfTwoMigrationsAtOnceOneRunsAndOneWaits(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t)
	release := hold(t, w)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := pg.Migrate(t.Context(), w.Config, slow()); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "one is in the middle", func() bool { return w.Count(t, waiting) == 1 })
	release()
	all.Wait()
	if n := w.Count(t, "select count(*) from second"); n != 1 {
		t.Errorf("the second migration ran %d times, want once", n)
	}
}

func TestMigrationsOfSeveralPackagesAreOneSequence(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t)
	service := fstest.MapFS{"migrations/00100_uses.sql": sqlFile("create table uses (n int references kit);")}
	kit := fstest.MapFS{"00001_kit.sql": sqlFile("create table kit (n int primary key);")}
	if err := pg.Migrate(t.Context(), w.Config, service, kit); err != nil {
		t.Fatal(err)
	}
	// A package that joins later has lower numbers than what has run.
	late := fstest.MapFS{"00020_late.sql": sqlFile("create table late (n int);")}
	if err := pg.Migrate(t.Context(), w.Config, service, kit, late); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(t, "select count(*) from pg_tables where tablename in ('kit', 'uses', 'late')"); n != 3 {
		t.Errorf("%d tables, want 3", n)
	}
	for _, clash := range []fs.FS{
		fstest.MapFS{"00100_uses.sql": sqlFile("select 1;")},
		fstest.MapFS{"00100_other.sql": sqlFile("select 1;")},
	} {
		if err := pg.Migrate(t.Context(), w.Config, service, kit, clash); err == nil {
			t.Errorf("two migrations with one version were accepted: %v", clash)
		}
	}
}

func TestTheServicesRoleMayUseWhatIsThereAndNothingElse(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, fstest.MapFS{"00100_all.sql": sqlFile(`
		create table serials (id serial primary key, name text);
		create view names as select name from serials;
		create table parted (id bigint, day date) partition by range (day);
		create table parted_2026 partition of parted for values from ('2026-01-01') to ('2027-01-01');
		create extension pg_trgm;
		create function owners_work() returns int language sql security definer as 'select 1';
	`)})
	allowed := []string{
		"insert into serials (name) values ('x')", "update serials set name = 'y'", "select * from names", "delete from serials",
		"insert into parted values (1, '2026-05-05')", "select * from parted", "select owners_work()", "select similarity('a', 'b')",
		"select * from goose_db_version",
	}
	for _, sql := range allowed {
		if err := w.DB.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(sql).Error }); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	forbidden := []string{
		"select * from parted_2026", "insert into parted_2026 values (1, '2026-05-05')", "delete from goose_db_version",
		"truncate serials", "drop table serials", "alter table serials disable row level security", "create table mine (n int)",
		"create function mine() returns int language sql as 'select 1'", "select setval('serials_id_seq', 1)",
	}
	for _, sql := range forbidden {
		if err := w.DB.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(sql).Error }); err == nil {
			t.Errorf("the service's role may %s", sql)
		}
	}
}

func TestGrantsFollowARoleWithAnOddName(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t)
	const odd = `app "x"; drop table things`
	if err := w.Server.EnsureRole(t.Context(), odd, "pw"); err != nil {
		t.Fatal(err)
	}
	var database string
	if err := w.Superuser.QueryRow(t.Context(), "select current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	w.Exec(t, "grant connect on database "+pgx.Identifier{database}.Sanitize()+" to "+pgx.Identifier{odd}.Sanitize())
	cfg := w.Config
	cfg.URL = secret(w.Server.URL(database, odd, "pw"))
	if err := pg.Migrate(t.Context(), cfg, schema()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), cfg.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), "select * from things"); err != nil {
		t.Error(err)
	}
}

func TestMigrateWaitsForAServerThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t)
	w.Server.Kill()
	done := make(chan error, 1)
	go func() { done <- pg.Migrate(t.Context(), w.Config, schema()) }()
	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAMigrationThatFailsNamesItself(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t)
	err := pg.Migrate(t.Context(), w.Config, fstest.MapFS{"00100_bad.sql": sqlFile("create tabel x;")})
	if err == nil || !strings.Contains(err.Error(), "00100_bad.sql") {
		t.Errorf("%v", err)
	}
}
