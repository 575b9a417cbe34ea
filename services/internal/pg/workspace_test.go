package pg_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	here  = "0190a5b4-0000-7000-8000-00000000000a"
	there = "0190a5b4-0000-7000-8000-00000000000b"
)

func schema() fstest.MapFS {
	return fstest.MapFS{"00100_things.sql": {Data: []byte(`-- +goose Up
create table things (
	id bigint generated always as identity primary key,
	workspace_id uuid not null,
	name text not null,
	made_at timestamptz not null default now(),
	constraint things_name unique (workspace_id, name)
);
alter table things enable row level security;
alter table things force row level security;
create policy tenant on things using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);
`)}}
}

type thing struct {
	ID          int64 `gorm:"primaryKey;autoIncrement"`
	WorkspaceID string
	Name        string
	MadeAt      time.Time `gorm:"default:now()"`
}

func (thing) TableName() string { return "things" }

func add(workspace, name string) func(*gorm.DB) error {
	return func(tx *gorm.DB) error { return tx.Create(&thing{WorkspaceID: workspace, Name: name}).Error }
}

func names(t *testing.T, in func(context.Context, func(*gorm.DB) error) error) []string {
	t.Helper()
	var found []string
	err := in(t.Context(), func(tx *gorm.DB) error {
		return tx.Model(&thing{}).Order("name").Pluck("name", &found).Error
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func in(db *pg.DB, workspace string) func(context.Context, func(*gorm.DB) error) error {
	return func(ctx context.Context, fn func(*gorm.DB) error) error { return db.InWorkspace(ctx, workspace, fn) }
}

func TestAWorkspaceSeesItsOwnRowsOnly(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	w.RequireRowSecurity(t)
	for workspace, name := range map[string]string{here: "mine", there: "theirs"} {
		if err := w.DB.InWorkspace(t.Context(), workspace, add(workspace, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, in(w.DB, here)); len(got) != 1 || got[0] != "mine" {
		t.Errorf("here one sees %q", got)
	}
	if got := names(t, w.DB.Tx); len(got) != 0 {
		t.Errorf("without a workspace one sees %q", got)
	}
	if err := w.DB.InWorkspace(t.Context(), here, add(there, "smuggled")); err == nil {
		t.Error("a row could be written into another workspace")
	}
	err := w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
		return tx.Exec("update things set name = name; delete from things where name = 'theirs'").Error
	})
	if err != nil {
		t.Error(err)
	}
	if n := w.Count(t, "select count(*) from things where name = 'theirs'"); n != 1 {
		t.Error("another workspace's row was changed")
	}
}

// The trap that the one helper is for: SET stays on a pooled connection for whoever gets it next, SET LOCAL ends with the transaction.
func TestTheWorkspaceDoesNotOutliveItsTransaction(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	cfg := w.Config
	cfg.MaxConns = 1 // everybody gets the same connection
	db := w.Open(t, cfg, telemetry.Discard())
	defer db.Close()
	if err := db.InWorkspace(t.Context(), here, add(here, "mine")); err != nil {
		t.Fatal(err)
	}
	endings := map[string]func(){
		"commit":   func() { _ = db.InWorkspace(t.Context(), here, func(*gorm.DB) error { return nil }) },
		"rollback": func() { _ = db.InWorkspace(t.Context(), here, func(*gorm.DB) error { return errors.New("no") }) },
		"SQL error": func() {
			_ = db.InWorkspace(t.Context(), here, func(tx *gorm.DB) error { return tx.Exec("select 1/0").Error })
		},
		"panic": func() {
			defer func() { _ = recover() }()
			_ = db.InWorkspace(t.Context(), here, func(*gorm.DB) error { panic("boom") })
		},
		"caller gone": func() {
			ctx, leave := context.WithCancel(t.Context())
			_ = db.InWorkspace(ctx, here, func(tx *gorm.DB) error { leave(); return tx.Exec("select 1").Error })
		},
	}
	for name, end := range endings {
		end()
		if got := names(t, db.Tx); len(got) != 0 {
			t.Errorf("after %s the next transaction sees %q of the last one's workspace", name, got)
		}
	}

	// SET does leak, so the rows above were hidden by the helper and not by luck.
	conn, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), "select set_config('noteworks.workspace_id', $1, false)", here)
	conn.Release()
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, db.Tx); len(got) != 1 {
		t.Errorf("the control failed: after a plain SET one sees %q", got)
	}
}

func TestOnlyAUUIDInItsUsualSpellingIsAWorkspace(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	for _, id := range []string{
		"", "x", "0190A5B4-0000-7000-8000-00000000000A", "{" + here + "}", "urn:uuid:" + here, "0190a5b400007000800000000000000a",
		here + "', true); drop table things; --",
	} {
		err := w.DB.InWorkspace(t.Context(), id, func(*gorm.DB) error { t.Errorf("%q was accepted", id); return nil })
		if errs.KindOf(err) != errs.KindInvalid {
			t.Errorf("%q: %v, want an invalid one", id, err)
		}
		err = w.DB.Tx(t.Context(), func(tx *gorm.DB) error { return pg.SwitchWorkspace(tx, id) })
		if errs.KindOf(err) != errs.KindInvalid {
			t.Errorf("switch to %q: %v, want an invalid one", id, err)
		}
	}
}

func TestSwitchWorkspaceHoldsForTheTransaction(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	err := w.DB.Tx(t.Context(), func(tx *gorm.DB) error {
		for _, workspace := range []string{here, there} {
			if err := pg.SwitchWorkspace(tx, workspace); err != nil {
				return err
			}
			if err := add(workspace, "of "+workspace)(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, in(w.DB, there)); len(got) != 1 || got[0] != "of "+there {
		t.Errorf("there one sees %q", got)
	}
	if got := names(t, w.DB.Tx); len(got) != 0 {
		t.Errorf("afterwards one sees %q", got)
	}
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	var read thing
	err := w.DB.InWorkspace(t.Context(), here, func(tx *gorm.DB) error {
		if err := add(here, "now")(tx); err != nil {
			return err
		}
		return tx.Take(&read).Error
	})
	if err != nil {
		t.Fatal(err)
	}
	if read.MadeAt.Location() != time.UTC {
		t.Errorf("a time was read in zone %s", read.MadeAt.Location())
	}
	if away := time.Since(read.MadeAt).Abs(); away > time.Minute {
		t.Errorf("the time read is %s away from now", away)
	}
}

func TestUniqueViolationsAreKnownByTheirConstraint(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	if err := w.DB.InWorkspace(t.Context(), here, add(here, "same")); err != nil {
		t.Fatal(err)
	}
	err := w.DB.InWorkspace(t.Context(), here, add(here, "same"))
	if !pg.IsUniqueViolation(err, "things_name") || pg.IsUniqueViolation(err, "things_pkey") {
		t.Errorf("%v is not seen as a violation of things_name and nothing else", err)
	}
	if pg.IsUniqueViolation(errors.New("other"), "things_name") || pg.IsUniqueViolation(nil, "things_name") {
		t.Error("any error counts")
	}
}
