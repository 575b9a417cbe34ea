package pg

import "testing"

func TestSpanNamesAreTheVerbAndTheFirstTable(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		`SELECT * FROM "notes" WHERE id = $1`:                     "SELECT notes",
		`INSERT INTO "outbox" ("id") VALUES ($1)`:                 "INSERT outbox",
		"insert into outbox(id) values ($1)":                      "INSERT outbox",
		`UPDATE "public"."notes" SET "title"=$1`:                  "UPDATE notes",
		"delete from shares where note_id = $1;":                  "DELETE shares",
		"select pg_advisory_xact_lock($1, $2)":                    "SELECT",
		"begin; select set_config('noteworks.workspace_id', '…')": "BEGIN",
		"commit":                            "COMMIT",
		"":                                  "",
		"\n\tselect n\n\tfrom (select 1) x": "SELECT ",
	} {
		if got := spanName(sql); got != want {
			t.Errorf("%q is called %q, want %q", sql, got, want)
		}
	}
}
