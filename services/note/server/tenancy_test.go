package server_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"gorm.io/gorm"

	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/note/server"

	"noteworks.dev/services/internal/pgtest"
)

// operation is a route of the OpenAPI file.
type operation struct{ method, path string }

// operations reads all of them from the file, so that a new route is walked, too.
func operations(t *testing.T) []operation {
	t.Helper()
	text, err := os.ReadFile("../../api/openapi/note.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []operation
	path := ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^  (/api/\S+):`).FindStringSubmatch(line); m != nil {
			path = m[1]
		}
		if m := regexp.MustCompile(`^    (get|put|post|patch|delete):`).FindStringSubmatch(line); m != nil && path != "" {
			all = append(all, operation{strings.ToUpper(m[1]), path})
		}
	}
	if len(all) < 17 {
		t.Fatalf("only %d operations in the file", len(all))
	}
	return all
}

func (o operation) at(noteID, personID string) string {
	return strings.NewReplacer("{id}", noteID, "{userId}", personID, "{version}", "1").Replace(o.path)
}

// body is one that the operation accepts.
func (o operation) body() any {
	switch {
	case o.method == "PUT" && strings.Contains(o.path, "/shares/"):
		return map[string]any{"role": "viewer"}
	case o.method == "PATCH", o.method == "POST" && !strings.Contains(o.path, "{id}"):
		return map[string]any{"title": "changed"}
	}
	return nil
}

func TestNoRouteLeadsIntoAnotherWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Secret", "text", "tag")
	ann.shares(n.Id, bob, "editor")
	w.indexed(n)
	before := w.fingerprint()
	// Somebody of another workspace, and, as ids are only unique by chance, one with ann's own id there.
	stranger := w.personOf(newID(), "Stranger")
	double := *ann
	double.workspace = stranger.workspace
	double.token = w.user.token(t, double.workspace, ann.id, w.clock.now())

	for _, p := range []*person{stranger, &double} {
		for _, o := range operations(t) {
			a := p.do(o.method, o.at(n.Id, bob.id), o.body(), ifMatch(1), header{"Host", "default.localhost"})
			switch {
			case strings.Contains(o.path, "{id}"):
				if a.problem(http.StatusNotFound, "not-found"); strings.Contains(string(a.body), "Secret") {
					t.Errorf("%s tells of it: %s", a.what, a.body)
				}
			case o.method == "GET" && strings.Contains(string(a.body), n.Id):
				t.Errorf("%s lists it: %s", a.what, a.body)
			}
		}
		for _, query := range []string{"?q=secret", "?tag=tag", "?view=trash", "?view=shared"} {
			if got := p.lists(query); len(got.Items) > 0 && got.Items[0].Title == "Secret" {
				t.Errorf("%s lists it", query)
			}
		}
	}
	if after := w.fingerprint(); after != before {
		t.Errorf("something changed: %s, was %s", after, before)
	}
}

// fingerprint is everything in the world's own workspace.
func (w *world) fingerprint() string {
	w.t.Helper()
	var all string
	err := w.db.Superuser.QueryRow(w.t.Context(), `select string_agg(t, '|' order by t) from (
		select n::text as t from notes n where workspace_id = $1 union all select a::text from note_access a where workspace_id = $1
		union all select r::text from note_revisions r where workspace_id = $1) x`, w.workspace).Scan(&all)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// With Go's rules out of the way, the database's own still hold.
func TestRowsOfAnotherWorkspaceDoNotExist(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.db.RequireRowSecurity(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Secret", "text", "tag")
	ann.shares(n.Id, bob, "editor")
	ann.do("POST", notes, map[string]any{}, header{"Idempotency-Key", "k"}).want(http.StatusCreated)
	w.db.Exec(t, `insert into workspaces values ($1, 'acme', 'Acme', 1)`, w.workspace)
	w.db.Exec(t, `insert into chores (workspace_id, id, kind, created_at) values ($1, $1, 'hand-over', now() + interval '1 day')`, newID())
	w.indexed(n)

	tables := []string{"notes", "note_access", "note_revisions", "note_tags", "note_search", "note_usage", "idempotency_keys", "people", "workspaces", "chores"}
	elsewhere := newID()
	err := w.db.DB.InWorkspace(t.Context(), elsewhere, func(tx *gorm.DB) error {
		for _, table := range tables {
			requireNoRow(t, tx, "select count(*) from "+table)
		}
		requireNoRow(t, tx, `select cardinality(note_search_hits('''secret'':*', '%secret%'))`)
		requireNoRow(t, tx, `select count(*) from note_search_found('''secret'':*', '%secret%')`)
		requireNoRow(t, tx, `select count(*) from note_search_titled('secret')`)
		for _, statement := range []string{
			"update notes set title = 'mine'", "delete from notes", "delete from note_access", "update note_search set title = ''",
			"update note_usage set notes = 0",
		} {
			if res := tx.Exec(statement); res.Error != nil || res.RowsAffected > 0 {
				t.Errorf("%s: %d rows, %v", statement, res.RowsAffected, res.Error)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = w.db.DB.InWorkspace(t.Context(), elsewhere, func(tx *gorm.DB) error {
		return tx.Exec(`insert into note_access (workspace_id, note_id, person_id, role, granted_by, granted_at, seen_at) values (?, ?, ?, 3, ?, now(), now())`,
			w.workspace, n.Id, bob.id, bob.id).Error
	})
	if err == nil {
		t.Error("a row was written into another workspace")
	}
	err = w.db.DB.Tx(t.Context(), func(tx *gorm.DB) error {
		for _, table := range tables {
			requireNoRow(t, tx, "select count(*) from "+table)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func requireNoRow(t *testing.T, tx *gorm.DB, count string) {
	t.Helper()
	var n int
	if err := tx.Raw(count).Scan(&n).Error; err != nil || n > 0 {
		t.Errorf("%s: %d, %v", count, n, err)
	}
}

// The owner of the tables may find ids by the search function, and nothing else.
func TestTheOwnersWindowShowsIdsOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, server.Migrations()...)
	db.Exec(t, `insert into note_search values ($1, $2, 1, 'secret', '''secret'':1'), ($3, $2, 1, 'secret', '''secret'':1')`, newID(), newID(), newID())
	for _, function := range []string{
		`select cardinality(note_search_hits('''secret''', '%secret%'))`,
		`select count(*) from note_search_found('''secret''', '%secret%')`, `select count(*) from note_search_titled('secret')`,
	} {
		var hits int
		if err := db.Owner.QueryRow(t.Context(), function).Scan(&hits); err != nil || hits != 0 {
			t.Fatalf("without a workspace %s is %d, %v", function, hits, err)
		}
	}
}

func TestTheWorkspaceIsTheTokens(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	stranger := w.personOf(newID(), "Stranger")
	for _, h := range []header{
		{"X-Workspace-Id", w.workspace}, {"X-User-Id", ann.id}, {"X-Forwarded-Host", "default.localhost"}, {"X-Forwarded-For", "127.0.0.1"},
		{"Baggage", "wid=" + w.workspace + ",sub=" + ann.id}, {"X-HTTP-Method-Override", "DELETE"},
	} {
		stranger.do("GET", notes+"/"+n.Id, nil, h).problem(http.StatusNotFound, "not-found")
	}
	if got := read[noterest.Note](ann.do("GET", notes+"/"+n.Id, nil, header{"X-HTTP-Method-Override", "DELETE"}).want(http.StatusOK)); got.TrashedAt != nil {
		t.Fatal("a header overrode the method")
	}
}
