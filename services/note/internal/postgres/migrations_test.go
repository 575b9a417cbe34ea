package postgres_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/note/internal/postgres"
)

func TestEveryTenantTableHasForcedRowSecurity(t *testing.T) {
	t.Parallel()
	pgtest.New(t, postgres.Migrations).RequireRowSecurity(t)
}

// before is the migrations up to the one before the named one.
func before(t *testing.T, name string) fs.FS {
	t.Helper()
	files, err := fs.Glob(postgres.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{}
	for _, f := range files {
		text, err := fs.ReadFile(postgres.Migrations, f)
		if err != nil {
			t.Fatal(err)
		}
		if f < "migrations/"+name {
			old[f] = &fstest.MapFile{Data: text}
		}
	}
	return old
}

// The owner who migrates sees no rows but by a workspace's setting.
func TestNotesThatAreThereAreCounted(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, before(t, "00103_usage.sql"))
	one, two, gone := uuid.NewString(), uuid.NewString(), uuid.NewString()
	w.Exec(t, `insert into workspaces (workspace_id, slug, title, version, deleted) values ($1, '', '', 1, false), ($2, '', '', 1, false), ($3, '', '', 1, true)`, one, two, gone)
	w.Exec(t, `insert into notes select w, gen_random_uuid(), w, '', body, '[]', 1, now(), now(), w, trashed from (values
		($1::uuid, '12345', null), ($1, 'äö', null), ($1, '123', now()), ($2, '', null), ($3, '1', null)) n (w, body, trashed)`, one, two, gone)

	if err := pg.Migrate(t.Context(), w.Config, postgres.Migrations); err != nil {
		t.Fatal(err)
	}
	w.RequireRowSecurity(t)
	for id, want := range map[string][3]int{one: {4, 2, 12}, two: {4, 1, 0}, gone: {0, 0, 0}} {
		got := [3]int{
			w.Count(t, "select count(*) from note_usage where workspace_id = $1", id),
			w.Count(t, "select coalesce(sum(notes), 0) from note_usage where workspace_id = $1", id),
			w.Count(t, "select coalesce(sum(bytes), 0) from note_usage where workspace_id = $1", id),
		}
		if got != want {
			t.Errorf("shards, notes and bytes %v, want %v", got, want)
		}
	}
}

func TestNotesThatAreIndexedHaveTheirTimes(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, before(t, "00105_sizes.sql"))
	one, two := uuid.NewString(), uuid.NewString()
	w.Exec(t, `insert into workspaces (workspace_id, slug, title, version, deleted) values ($1, '', '', 1, false), ($2, '', '', 1, false)`, one, two)
	w.Exec(t, `insert into notes select w, gen_random_uuid(), w, 'x', '', '[]', 1, now(), now() - interval '1 day', w, null from unnest(array[$1, $1, $2]::uuid[]) w`, one, two)
	w.Exec(t, `insert into note_search (workspace_id, note_id, version, title, doc) select workspace_id, id, 1, 'x', '' from notes`)

	if err := pg.Migrate(t.Context(), w.Config, postgres.Migrations); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(t, "select count(*) from note_search s join notes n on n.id = s.note_id and n.updated_at = s.at"); n != 3 {
		t.Errorf("%d of 3 have the time of the note", n)
	}
}
