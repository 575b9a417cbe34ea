package pgtest_test

import (
	"testing"
	"testing/fstest"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/pgtest"
)

func migrations() fstest.MapFS {
	return fstest.MapFS{"00100_things.sql": {Data: []byte(`-- +goose Up
create table things (id bigint generated always as identity primary key, workspace_id uuid not null, name text not null);
alter table things enable row level security;
alter table things force row level security;
create policy tenant on things using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);
`)}}
}

const workspace = "0190a5b4-0000-7000-8000-000000000001"

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	for range 2 {
		w := pgtest.New(t, migrations())
		w.RequireRowSecurity(t)
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error {
			return tx.Exec("insert into things (workspace_id, name) values (?, 'a')", workspace).Error
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := w.Count(t, "select count(*) from things"); n != 1 {
			t.Fatalf("%d rows, want the one just written", n)
		}
	}
}
