package pgtest_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/internal/pgtest"
)

// envPanic makes one test of a second run of this binary panic with a server running.
const envPanic = "PGTEST_TEST_PANIC"

func TestNothingIsLeftAfterAPanic(t *testing.T) {
	t.Parallel()
	if os.Getenv(envPanic) != "" {
		w := pgtest.New(t, migrations())
		var dir string
		if err := w.Superuser.QueryRow(t.Context(), "show data_directory").Scan(&dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stdout.WriteString("data in " + dir + "\n"); err != nil {
			t.Fatal(err)
		}
		panic("a test's own")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestNothingIsLeftAfterAPanic")
	cmd.Env = append(os.Environ(), envPanic+"=yes", pgtest.EnvURL+"=")
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		t.Fatalf("the test that panics ended with %v:\n%s", err, out)
	}
	_, dir, found := strings.Cut(string(out), "data in ")
	dir, _, _ = strings.Cut(dir, "\n")
	if !found || dir == "" {
		t.Fatalf("it did not get as far as its panic:\n%s", out)
	}
	limit := time.After(20 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s is left behind", dir)
		}
	}
}

func TestWorldsOfOneSetOfMigrationsShareATemplate(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t, migrations())
	if n := w.Count(t, "select count(*) from pg_database where datname like 'template\\_%' and not datistemplate"); n != 1 {
		t.Errorf("%d template databases, want 1", n)
	}
	var user string
	if err := w.DB.Pool().QueryRow(t.Context(), "select current_user").Scan(&user); err != nil || user != "noteworks_app" {
		t.Errorf("the database is used as %q (%v)", user, err)
	}
	for _, role := range []string{"noteworks_app", "noteworks_owner"} {
		if n := w.Count(t, "select count(*) from pg_roles where rolname = $1 and not (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)", role); n != 1 {
			t.Errorf("%s is more than an ordinary role", role)
		}
	}
}

// recorder is a TB that only notes failures.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, _ ...any) { r.failures = append(r.failures, format) }

func TestRequireRowSecurityFindsOpenTables(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, migrations())
	for _, open := range []string{
		"create table open1 (workspace_id uuid)",
		"create table open2 (workspace_id uuid); alter table open2 enable row level security; create policy p on open2 using (true)",
		"create table open3 (workspace_id uuid); alter table open3 enable row level security; alter table open3 force row level security",
	} {
		w.Exec(t, open)
	}
	r := &recorder{TB: t}
	w.RequireRowSecurity(r)
	if len(r.failures) != 3 {
		t.Errorf("%d open tables found, want 3", len(r.failures))
	}
}
