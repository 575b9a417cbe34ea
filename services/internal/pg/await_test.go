package pg_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

// told collects the reasons that a wait gives, each once.
type told struct {
	mu      sync.Mutex
	reasons []string
}

func (l *told) say(_ context.Context, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.reasons, reason.Error()) {
		l.reasons = append(l.reasons, reason.Error())
	}
}

func (l *told) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.reasons, func(r string) bool { return strings.Contains(r, part) })
}

func (l *told) requirePlain(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reasons {
		if strings.ContainsAny(r, "\n\t") || strings.Contains(r, "password=") || strings.Contains(r, ":test@") {
			t.Errorf("not one plain line: %q", r)
		}
	}
	if len(l.reasons) > 6 {
		t.Errorf("one cause has many words: %q", l.reasons)
	}
}

func TestAWaitGoesOnByItselfWhenEachCauseIsGone(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t)
	w.Server.Kill()
	db := w.Open(t, impatient(w), telemetry.Discard())
	said, done := &told{}, make(chan error, 1)
	go func() { done <- db.Await(t.Context(), said.say, schema()) }()

	until(t, "the server is said to be away", func() bool { return said.has("cannot be reached") })
	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the schema is said to be missing", func() bool { return said.has("nobody has run the migration yet") })
	if err := pg.Migrate(t.Context(), w.Config, schema()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	said.requirePlain(t)
}

func TestASchemaThatIsOlderThanTheCodeIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	newer := fstest.MapFS{"00900_newer.sql": sqlFile("create table newer (n int);"), "00901_newest.sql": sqlFile("create table newest (n int);")}
	ctx, cancel := context.WithCancel(t.Context())
	said := &told{}
	err := w.DB.Await(ctx, func(ctx context.Context, reason error) {
		said.say(ctx, reason)
		cancel()
	}, schema(), newer)
	if err == nil || !strings.Contains(err.Error(), "00900_newer.sql and 1 more are missing") {
		t.Errorf("%v", err)
	}
	if err := pg.Migrate(t.Context(), w.Config, schema(), newer); err != nil {
		t.Fatal(err)
	}
	for _, code := range []fstest.MapFS{newer, {}} { // the new version, and an old one beside it
		if err := w.DB.Await(t.Context(), said.say, schema(), code); err != nil {
			t.Error(err)
		}
	}
}

func TestAPasswordIsReadAgainFromItsFile(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	right := w.Config.URL.Reveal()
	wrong := strings.Replace(right, ":test@", ":outdated@", 1)
	cfg := impatient(w)
	cfg.URL, cfg.URLFile = secret(wrong), filepath.Join(t.TempDir(), "url")
	write := func(url string) {
		if err := os.WriteFile(cfg.URLFile, []byte(url+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	write(wrong)
	db := w.Open(t, cfg, telemetry.Discard())
	said, done := &told{}, make(chan error, 1)
	go func() { done <- db.Await(t.Context(), said.say, schema()) }()
	until(t, "the password is said to be refused", func() bool { return said.has("refuses the role noteworks_app") })
	for _, halfway := range []string{"", "not a URL \x00", wrong} {
		write(halfway)
	}
	write(right)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := db.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("select 1").Error }); err != nil {
		t.Error(err)
	}
	said.requirePlain(t)
}

func TestAMigrationWaitsForItsServerItsPasswordAndTheServicesRole(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t)
	var database string
	if err := w.Superuser.QueryRow(t.Context(), "select current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	right := w.Config.MigrateURL.Reveal()
	wrong := strings.Replace(right, ":test@", ":outdated@", 1)
	cfg := w.Config
	cfg.URL = secret(w.Server.URL(database, "late_app", "pw"))
	cfg.MigrateURL, cfg.MigrateURLFile = secret(wrong), filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(cfg.MigrateURLFile, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Server.Kill()
	said, done := &told{}, make(chan error, 1)
	go func() { done <- pg.MigrateWhenThere(t.Context(), cfg, said.say, schema()) }()

	until(t, "the server is said to be away", func() bool { return said.has("cannot be reached") })
	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the password is said to be refused", func() bool { return said.has("refuses the role noteworks_owner") })
	if err := os.WriteFile(cfg.MigrateURLFile, []byte(right), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the role is said to be missing", func() bool { return said.has("does not exist yet: late_app") })
	if err := w.Server.EnsureRole(t.Context(), "late_app", "pw"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	said.requirePlain(t)
}

func TestAWaitEndsWithItsContextAndSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := w.DB.Await(ctx, func(context.Context, error) { cancel() }, schema())
	if err == nil || !strings.Contains(err.Error(), "context canceled") || !strings.Contains(err.Error(), "nobody has run the migration yet") {
		t.Errorf("%v", err)
	}
}
