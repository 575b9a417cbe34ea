package pg_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

// Two transactions take two rows in opposite order, and neither goes on before both hold their first.
func TestADeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	w.Exec(t, "insert into things (workspace_id, name) values ($1, 'a'), ($1, 'b')", here)
	var database string
	if err := w.Superuser.QueryRow(t.Context(), "select current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	w.Exec(t, "alter database "+database+" set deadlock_timeout = '20ms'")
	db := w.Open(t, w.Config, telemetry.Discard())
	defer db.Close()

	var both, all sync.WaitGroup
	both.Add(2)
	attempts := make(chan struct{}, 2*8)
	write := func(first, second string) {
		var once sync.Once
		err := db.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
			attempts <- struct{}{}
			if err := touch(tx, first); err != nil {
				return err
			}
			once.Do(func() { both.Done(); both.Wait() })
			return touch(tx, second)
		})
		if err != nil {
			t.Error(err)
		}
	}
	all.Go(func() { write("a", "b") })
	all.Go(func() { write("b", "a") })
	all.Wait()

	if n := len(attempts); n < 3 {
		t.Errorf("%d attempts: there was no deadlock to run again", n)
	}
	if n := w.Count(t, "select count(*) from things where name like '_!!'"); n != 2 {
		t.Errorf("%d rows were changed by both, want 2", n)
	}
}

func touch(tx *gorm.DB, name string) error {
	return tx.Exec("update things set name = name || '!' where name like ?", name+"%").Error
}

func TestASerializationFailureIsRunAgainUntilTheBudgetIsSpent(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	fail := func(tx *gorm.DB) error {
		return tx.Exec("do $$ begin raise exception 'again' using errcode = '40001'; end $$").Error
	}
	runs := 0
	err := w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
		runs++
		if err := add(here, "once")(tx); err != nil {
			return err
		}
		if runs < 4 {
			return fmt.Errorf("wrapped: %w", fail(tx))
		}
		return nil
	})
	if err != nil || runs != 4 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if got := names(t, in(w.DB, here)); len(got) != 1 {
		t.Errorf("left behind: %q, want what the last run wrote", got)
	}

	runs = 0
	err = w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error { runs++; return fail(tx) })
	if errs.KindOf(err) != errs.KindUnavailable || runs != 8 {
		t.Errorf("for ever: %d runs, %v, want 8 and unavailable", runs, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	runs = 0
	err = w.DB.InWorkspace(ctx, here, func(tx *gorm.DB) error {
		runs++
		err := fail(tx)
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) || runs != 1 {
		t.Errorf("a caller that left: %d runs, %v, want 1 and cancelled", runs, err)
	}
}

func TestAMigrationUnderARunningServiceIsNotNoticed(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	requireUnnoticed(t, w, func(db *pg.DB) error {
		return db.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
			return tx.Exec("select * from things where name = ?", "x").Error
		})
	})
}

// requireUnnoticed runs read on the same connection before and after a migration changes the table under its prepared statement.
func requireUnnoticed(t *testing.T, w *pgtest.World, read func(*pg.DB) error) {
	t.Helper()
	cfg := w.Config
	cfg.MaxConns = 1
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	if err := read(db); err != nil {
		t.Fatal(err)
	}
	w.Exec(t, "alter table things add column later text")
	if err := read(db); err != nil {
		t.Errorf("after a column was added: %v", err)
	}
}

func TestOtherErrorsComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	own := errs.NotFound("note-not-found", "no such note")
	for _, want := range []error{own, fmt.Errorf("wrapped: %w", own), gorm.ErrRecordNotFound, errors.New("plain")} {
		runs := 0
		err := w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
			runs++
			if err := add(here, "undone")(tx); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) || runs != 1 {
			t.Errorf("%v became %v after %d runs", want, err, runs)
		}
	}
	if got := names(t, in(w.DB, here)); len(got) != 0 {
		t.Errorf("a failed transaction left %q", got)
	}
}

func TestAfterCommitRunsOnceAndOnlyAfterACommit(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	var seen []string
	hook := func(tx *gorm.DB, what string) {
		pg.AfterCommit(tx.Where("true"), func() { // any session of the transaction will do
			n := w.Count(t, "select count(*) from things where name = $1", what)
			seen = append(seen, fmt.Sprintf("%s %d", what, n))
		})
	}
	runs := 0
	err := w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
		runs++
		hook(tx, "kept")
		if runs == 1 {
			return tx.Exec("do $$ begin raise exception 'again' using errcode = '40001'; end $$").Error
		}
		return add(here, "kept")(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error { hook(tx, "dropped"); return errors.New("no") })
	if len(seen) != 1 || seen[0] != "kept 1" {
		t.Errorf("hooks that ran: %q, want the committed one, once, with its row visible", seen)
	}
}

func TestATransactionInsideAnotherIsRefused(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	err := w.DB.Tx(t.Context(), func(tx *gorm.DB) error {
		return w.DB.Tx(tx.Statement.Context, func(*gorm.DB) error { return nil })
	})
	if err == nil {
		t.Error("it was accepted")
	}
}

func TestACallerThatLeavesCancelsItsQuery(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := w.Config
	cfg.MaxConns = 1
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	before := backend(t, db)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- db.InWorkspace(ctx, here, func(tx *gorm.DB) error { return tx.Exec("select pg_sleep(60)").Error })
	}()
	const sleeping = "select count(*) from pg_stat_activity where datname = current_database() and query like 'select pg_sleep%' and state = 'active'"
	until(t, "the query runs", func() bool { return w.Count(t, sleeping) == 1 })

	left := time.Now()
	leave()
	until(t, "the server gave it up", func() bool { return w.Count(t, sleeping) == 0 })
	err := <-done
	if took := time.Since(left); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if !errors.Is(err, context.Canceled) || errs.KindOf(err) != errs.KindCanceled {
		t.Errorf("the caller was told %v", err)
	}
	if after := backend(t, db); after != before {
		t.Error("the connection was thrown away: every client that leaves would cost one")
	}
}

// The server's word for a cancelled statement names no statement: a cancel that was meant for the one before may hit the next on the connection.
func TestAStatementThatItsCallerDidNotCancelIsWorthAnotherTry(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	done := make(chan error, 1)
	go func() {
		done <- w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error { return tx.Exec("select pg_sleep(60)").Error })
	}()
	const sleeping = " from pg_stat_activity where datname = current_database() and query like 'select pg_sleep%' and state = 'active'"
	until(t, "the query runs", func() bool { return w.Count(t, "select count(*)"+sleeping) == 1 })
	w.Exec(t, "select pg_cancel_backend(pid)"+sleeping)
	if e := errs.As(<-done); e.Kind != errs.KindUnavailable || e.RetryAfter == 0 {
		t.Errorf("%v, want one to come back after", e)
	}
}

func TestADeadlineIsATimeout(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := w.DB.InWorkspace(ctx, here, func(tx *gorm.DB) error { return tx.Exec("select pg_sleep(60)").Error })
	if errs.KindOf(err) != errs.KindTimeout {
		t.Errorf("%v, want a timeout", err)
	}
}

func backend(t *testing.T, db *pg.DB) int {
	t.Helper()
	var pid int
	if err := db.Pool().QueryRow(t.Context(), "select pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// until asks again and again, as the server cannot tell; what is asked is a query, so it does not spin.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("never: %s", what)
		default:
		}
	}
}
