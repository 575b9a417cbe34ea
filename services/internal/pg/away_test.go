package pg_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

// quickly is how soon a caller must know; twice the promise, as the machine runs other tests.
const quickly = 600 * time.Millisecond

// impatient is the world's configuration with production's patience.
func impatient(w *pgtest.World) pg.Config {
	cfg := w.Config
	cfg.AcquireTimeout, cfg.LockTimeout = 250*time.Millisecond, 250*time.Millisecond
	return cfg
}

func nothing(*gorm.DB) error { return nil }

func requireUnavailable(t *testing.T, what string, do func() error) {
	t.Helper()
	began := time.Now()
	err := do()
	if took := time.Since(began); took > quickly {
		t.Errorf("%s: the answer took %v", what, took)
	}
	var known *errs.Error
	if !errors.As(err, &known) || known.Kind != errs.KindUnavailable || known.RetryAfter <= 0 {
		t.Errorf("%s: %v, want unavailable with a delay", what, err)
	}
}

func TestCallersAreToldAtOnceWhenTheServerIsDown(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t, schema())
	db := w.Open(t, impatient(w), telemetry.Discard())
	defer db.Close()
	work := func() error { return db.InWorkspace(t.Context(), here, nothing) }
	if err := work(); err != nil {
		t.Fatal(err)
	}
	w.Server.Kill()
	until(t, "the connections that were open are gone, too", func() bool { return work() != nil })
	var all sync.WaitGroup
	for range 30 { // more than there are connections
		all.Go(func() { requireUnavailable(t, "down", work) })
	}
	all.Wait()

	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "work goes on after the restart", func() bool { return work() == nil })
}

func TestCallersAreToldAtOnceWhenTheServerHangs(t *testing.T) {
	t.Parallel()
	requireToldOfAHang(t, func(db *pg.DB) error { return db.InWorkspace(t.Context(), here, nothing) })
}

// requireToldOfAHang runs work on a server that stops to answer, and later goes on.
func requireToldOfAHang(t *testing.T, work func(*pg.DB) error) {
	t.Helper()
	w := pgtest.NewPrivate(t, schema())
	db := w.Open(t, impatient(w), telemetry.Discard())
	defer db.Close()
	if err := work(db); err != nil {
		t.Fatal(err)
	}
	w.Server.Freeze()
	for range 3 {
		requireUnavailable(t, "frozen", func() error { return work(db) })
	}
	w.Server.Thaw()
	until(t, "work goes on", func() bool { return work(db) == nil })
}

func TestCallersAreToldAtOnceWhenThePoolIsUsedUp(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := impatient(w)
	cfg.MaxConns = 2
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	release, all := occupy(t, db, 2)
	requireUnavailable(t, "pool used up", func() error { return db.InWorkspace(t.Context(), here, nothing) })
	release()
	all.Wait()
	if err := db.InWorkspace(t.Context(), here, nothing); err != nil {
		t.Errorf("with free connections: %v", err)
	}
}

func TestCallersAreToldAtOnceWhenTheServerHasNoConnectionLeft(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	w.Exec(t, "alter role noteworks_app connection limit -1")
	var database string
	if err := w.Superuser.QueryRow(t.Context(), "select current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	w.DB.Pool().Reset()
	w.Exec(t, "alter database "+database+" connection limit 0")
	db := w.Open(t, impatient(w), telemetry.Discard())
	defer db.Close()
	requireUnavailable(t, "no connection left", func() error { return db.InWorkspace(t.Context(), here, nothing) })
}

func TestAPasswordThatIsBeingChangedIsUnavailable(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := impatient(w)
	cfg.URL = secret(strings.Replace(cfg.URL.Reveal(), ":test@", ":changed@", 1))
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	requireUnavailable(t, "wrong password", func() error { return db.InWorkspace(t.Context(), here, nothing) })
}

// Only who wants the same row is turned away.
func TestARowThatStaysLockedKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	w.Exec(t, "insert into things (workspace_id, name) values ($1, 'a'), ($1, 'b')", here)
	db := w.Open(t, impatient(w), telemetry.Discard())
	defer db.Close()
	release := lockRow(t, w, "a")
	requireUnavailable(t, "locked row", func() error {
		return db.InWorkspace(t.Context(), here, func(tx *gorm.DB) error { return touch(tx, "a") })
	})
	if err := db.InWorkspace(t.Context(), here, func(tx *gorm.DB) error { return touch(tx, "b") }); err != nil {
		t.Errorf("another row: %v", err)
	}
	release()
}

// lockRow holds a row until release is called.
func lockRow(t *testing.T, w *pgtest.World, name string) (release func()) {
	t.Helper()
	locked, free := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() {
		err := w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
			err := touch(tx, name)
			close(locked)
			<-free
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-locked
	return func() {
		close(free)
		holder.Wait()
	}
}

// occupy holds n connections until release is called. On a busy machine a connection may take longer than db waits for it: then it is asked for again.
func occupy(t *testing.T, db *pg.DB, n int) (release func(), all *sync.WaitGroup) {
	t.Helper()
	held, free := make(chan struct{}, n), make(chan struct{})
	all = &sync.WaitGroup{}
	for range n {
		all.Go(func() {
			for holds := false; !holds && t.Context().Err() == nil; {
				err := db.Tx(t.Context(), func(*gorm.DB) error {
					holds = true
					held <- struct{}{}
					<-free
					return nil
				})
				if holds && err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range n {
		<-held
	}
	return func() { close(free) }, all
}

func TestReadyTurnsFalseAfterTenSecondsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t, schema())
	clock := &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	cfg := impatient(w)
	cfg.Now = clock.now
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	ready := func() error { return db.Ready(t.Context()) }
	if err := ready(); err != nil {
		t.Fatalf("with the database there: %v", err)
	}
	clock.pass(time.Hour) // nobody asked for an hour: that is not an hour away

	w.Server.Kill()
	until(t, "it does not answer any more", func() bool { return db.Pool().Ping(t.Context()) != nil })
	if err := ready(); err != nil {
		t.Errorf("at once after it went: %v", err)
	}
	clock.pass(9900 * time.Millisecond)
	if err := ready(); err != nil {
		t.Errorf("9.9 s after it went: %v", err)
	}
	clock.pass(100 * time.Millisecond)
	if err := ready(); err == nil {
		t.Error("10 s after it went it is still ready")
	}

	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "ready again", func() bool { return ready() == nil })
}

func TestReadyWaitsForTheFirstAnswer(t *testing.T) {
	t.Parallel()
	server := pgtest.StartServer(t)
	server.Kill()
	db, err := pg.Open(t.Context(), pg.Config{URL: config.Secret(server.AdminURL())}, telemetry.Discard())
	if err != nil {
		t.Fatalf("open with the server away: %v", err)
	}
	defer db.Close()
	if err := db.Ready(t.Context()); err == nil {
		t.Error("ready before the database was ever reached")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Ready(gone); err == nil {
		t.Error("ready because the asker left")
	}
}

func TestErrorsDoNotHoldThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://app:hunter2@[bad/notes", "postgres://app:hunter2@127.0.0.1:1/notes"} {
		db, err := pg.Open(t.Context(), pg.Config{URL: config.Secret(url)}, telemetry.Discard())
		if err == nil {
			err = db.Tx(t.Context(), nothing)
			db.Close()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
