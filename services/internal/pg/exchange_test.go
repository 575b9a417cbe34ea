package pg_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

const insertThing = "insert into things (workspace_id, name) values ($1, $2)"

// reads asks for the names of the things there are.
func reads(into *[]string) func(*pg.First) {
	return func(first *pg.First) {
		first.Queue("select name from things order by name").Query(func(rows pgx.Rows) (err error) {
			*into, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	}
}

func writes(workspace, name string) func(*pg.Last) error {
	return func(last *pg.Last) error {
		last.Queue(insertThing, workspace, name)
		return nil
	}
}

func asksNothing(*pg.First) {}

func TestAnExchangeReadsAndWritesItsOwnWorkspaceOnly(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	w.Exec(t, "insert into things (workspace_id, name) values ($1, 'ours'), ($2, 'theirs')", here, there)
	var found []string
	err := w.DB.Exchange(t.Context(), here, reads(&found), func(last *pg.Last) error {
		return writes(here, "new after "+found[0])(last)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, in(w.DB, here)); !slices.Equal(found, []string{"ours"}) || !slices.Equal(got, []string{"new after ours", "ours"}) {
		t.Errorf("read %q, then there were %q", found, got)
	}
	if err := w.DB.Exchange(t.Context(), here, asksNothing, writes(there, "smuggled")); err == nil {
		t.Error("it wrote into another workspace")
	}
	if err := w.DB.Exchange(t.Context(), "' or true", asksNothing, writes(here, "x")); errs.KindOf(err) != errs.KindInvalid {
		t.Errorf("a workspace that is none: %v", err)
	}
}

func TestAnExchangeThatFailsAnywhereLeavesNothing(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := w.Config
	cfg.MaxConns = 2
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	no := errors.New("no")
	committed := false
	for what, run := range map[string]func() error{
		"decided against": func() error {
			return db.Exchange(t.Context(), here, asksNothing, func(last *pg.Last) error {
				last.Queue(insertThing, here, "x")
				last.AfterCommit(func() { committed = true })
				return no
			})
		},
		"refused by the first": func() error {
			return db.Exchange(t.Context(), here, func(first *pg.First) { first.Queue("select 1/0") }, writes(here, "x"))
		},
		"refused by the last": func() error {
			return db.Exchange(t.Context(), here, asksNothing, func(last *pg.Last) error {
				last.Queue(insertThing, here, "x")
				last.Queue(insertThing, here, "x")
				last.AfterCommit(func() { committed = true })
				return nil
			})
		},
		"not to be sent": func() error {
			return db.Send(t.Context(), func(last *pg.Last) error {
				last.AfterCommit(func() { committed = true })
				return no
			})
		},
		"refused when sent": func() error {
			return db.Send(t.Context(), func(last *pg.Last) error {
				last.In(here)
				last.Queue(insertThing, here, "x")
				last.Queue("select 1/0")
				last.Queue(insertThing, here, "y")
				last.AfterCommit(func() { committed = true })
				return nil
			})
		},
	} {
		for range 5 { // more often than there are connections
			if err := run(); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
	}
	if got := names(t, in(db, here)); len(got) != 0 || committed {
		t.Errorf("left %q; told of a commit: %v", got, committed)
	}
	if n := w.Count(t, "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"); n != 0 {
		t.Errorf("%d transactions are open", n)
	}
}

func TestWhatIsSentIsDoneInTheWorkspacesThatAreNamedAndToldOf(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	told := 0
	err := w.DB.Send(t.Context(), func(last *pg.Last) error {
		for _, workspace := range []string{here, there} {
			last.In(workspace)
			last.Queue(insertThing, workspace, "sent")
		}
		last.AfterCommit(func() { told++ })
		return nil
	})
	if err != nil || told != 1 {
		t.Fatalf("told %d times, %v", told, err)
	}
	for _, workspace := range []string{here, there} {
		if got := names(t, in(w.DB, workspace)); !slices.Equal(got, []string{"sent"}) {
			t.Errorf("there are %q", got)
		}
	}
	err = w.DB.Send(t.Context(), func(last *pg.Last) error {
		last.In(here)
		last.Queue(insertThing, there, "smuggled")
		return nil
	})
	if err == nil {
		t.Error("it wrote into another workspace")
	}
	if !pg.IsState(err, "42501") {
		t.Errorf("refused by %v, not for want of the right", err)
	}
}

func TestWhatCannotBeSentIsToldAtOnce(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := impatient(w)
	cfg.MaxConns = 1
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	release, all := occupy(t, db, 1)
	requireUnavailable(t, "no connection", func() error {
		return db.Send(t.Context(), func(*pg.Last) error { return nil })
	})
	release()
	all.Wait()
	if err := db.Send(t.Context(), func(*pg.Last) error { return nil }); err != nil {
		t.Errorf("and then: %v", err)
	}
}

func TestAnExchangeThatPanicsGivesItsConnectionBack(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	for range 20 { // there are 16 connections
		func() {
			defer func() { _ = recover() }() // it is what this test provokes
			_ = w.DB.Exchange(t.Context(), here, asksNothing, func(*pg.Last) error { panic("decide") })
		}()
	}
	if err := w.DB.Exchange(t.Context(), here, asksNothing, writes(here, "x")); err != nil {
		t.Error(err)
	}
}

func TestAnExchangeThatReadTooOldAThingReadsAgain(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	var found []string
	tries, told := 0, 0
	err := w.DB.Exchange(t.Context(), here, reads(&found), func(last *pg.Last) error {
		if tries++; tries == 1 {
			w.Exec(t, insertThing, here, "meanwhile")
			last.AfterCommit(func() { told++ })
			return pg.ErrAnew
		}
		last.AfterCommit(func() { told++ })
		return nil
	})
	if err != nil || tries != 2 || told != 1 || !slices.Equal(found, []string{"meanwhile"}) {
		t.Errorf("%d tries, %d told, found %q, %v", tries, told, found, err)
	}
	if err := w.DB.Exchange(t.Context(), here, asksNothing, func(*pg.Last) error { return pg.ErrAnew }); errs.KindOf(err) != errs.KindUnavailable {
		t.Errorf("without end: %v", err)
	}
}

func TestAMigrationUnderAnExchangeIsNotNoticed(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	requireUnnoticed(t, w, func(db *pg.DB) error {
		return db.Exchange(t.Context(), here, func(first *pg.First) { first.Queue("select * from things") }, func(*pg.Last) error { return nil })
	})
}

func TestAnExchangeIsToldAtOnceWhenTheServerHangs(t *testing.T) {
	t.Parallel()
	requireToldOfAHang(t, func(db *pg.DB) error {
		return db.Exchange(t.Context(), here, asksNothing, func(*pg.Last) error { return nil })
	})
}

func TestAnExchangeOverALockedRowKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	w.Exec(t, "insert into things (workspace_id, name) values ($1, 'a'), ($1, 'b')", here)
	cfg := impatient(w)
	cfg.AcquireTimeout = time.Minute // the server's answer counts, however late it is
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	release := lockRow(t, w, "a")
	lock := func(name string) error {
		return db.Exchange(t.Context(), here, func(first *pg.First) {
			first.Queue("select from things where name = $1 for update", name)
		}, func(*pg.Last) error { return nil })
	}
	requireUnavailable(t, "locked row", func() error {
		err := lock("a")
		if errs.CodeOf(err) != "busy" {
			t.Errorf("told %v, and the server is not away", err)
		}
		return err
	})
	if err := lock("b"); err != nil {
		t.Errorf("another row: %v", err)
	}
	release()
}

func TestACallerThatLeavesCancelsItsExchange(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := w.Config
	cfg.MaxConns, cfg.AcquireTimeout, cfg.LockTimeout = 1, time.Minute, time.Minute
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	before := backend(t, db)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- db.Exchange(ctx, here, func(first *pg.First) { first.Queue("select pg_sleep(60)") }, func(*pg.Last) error { return nil })
	}()
	const sleeping = "select count(*) from pg_stat_activity where datname = current_database() and query like 'select pg_sleep%' and state = 'active'"
	until(t, "the query runs", func() bool { return w.Count(t, sleeping) == 1 })
	leave()
	until(t, "the server gave it up", func() bool { return w.Count(t, sleeping) == 0 })
	if err := <-done; errs.KindOf(err) != errs.KindCanceled {
		t.Errorf("the caller was told %v", err)
	}
	if after := backend(t, db); after != before {
		t.Error("the connection was thrown away: every client that leaves would cost one")
	}
}
