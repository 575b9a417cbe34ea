package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/api/gen/rest/noterest"
)

// spread reports the middle and the tail of what was measured.
func spread(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// One person saves one shared note after the other, over HTTP, with the relay and the projection at work: the time of a save as a client sees it.
func BenchmarkChange(b *testing.B) {
	w := startWorld(b)
	ann, bob := w.person("Ann"), w.person("Bob")
	var all []noterest.Note
	for range 50 {
		n := ann.writes("Plan", "")
		ann.shares(n.Id, bob, "editor")
		all = append(all, n)
	}
	w.spans.Reset()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		n := &all[i%len(all)]
		began := time.Now()
		*n = ann.changes(*n, map[string]any{"body": strings.Repeat("text ", 1+i%97)}) // of another length than before
		took = append(took, time.Since(began))
		if i%1000 == 0 {
			w.spans.Reset()
		}
	}
	spread(b, took)
}

// manyNotes fills the world with n notes of which ann sees half, as if they had been written and indexed.
func (w *world) manyNotes(n int, ann, other *person) {
	w.t.Helper()
	for _, sql := range []string{
		`create table filler as select i, gen_random_uuid() as id, case when i % 2 = 0 then $1::uuid else $2::uuid end as owner,
			'Note ' || i || ' ' || (array['alpha', 'beta', 'gamma', 'delta'])[1 + i % 4] as title,
			(select string_agg(substr(md5((i * 40 + w)::text), 1, 6), ' ') from generate_series(1, 40) w) || case when i % 100 = 0 then ' needle' else '' end as body,
			now() - make_interval(secs => i) as at from generate_series(1, $3::int) i`,
	} {
		w.db.Exec(w.t, sql, ann.id, other.id, n)
	}
	for _, sql := range []string{
		`insert into notes select $1::uuid, id, owner, title, body, '[]', 1, at, at, owner from filler`,
		`insert into note_access (workspace_id, note_id, person_id, role, granted_by, granted_at, seen_at) select $1::uuid, id, owner, 4, owner, at, at from filler`,
		`insert into note_search select $1::uuid, id, 1, lower(title), to_tsvector('simple', title || ' ' || body), at from filler`,
	} {
		w.db.Exec(w.t, sql, w.workspace)
	}
	w.db.Exec(w.t, `drop table filler`)
	w.db.Exec(w.t, `vacuum analyze`)
}

func BenchmarkReading(b *testing.B) {
	w := startWorld(b)
	ann, other := w.person("Ann"), w.person("Other")
	w.manyNotes(20_000, ann, other)
	newcomer := w.person("Newcomer") // sees one old note among all
	n := other.writes("Shared", "")
	other.shares(n.Id, newcomer, "viewer")
	w.db.Exec(b, `update notes set updated_at = now() - interval '1 year' where id = $1`, n.Id)
	second := *ann.lists("").NextCursor
	for _, c := range []struct {
		name  string
		who   *person
		query string
	}{
		{"the first page of 10,000", ann, ""},
		{"the second page", ann, "?cursor=" + second},
		{"one note in a large workspace", newcomer, ""},
		{"search for a rare word", ann, "?q=needle"},
		{"search for a common word", ann, "?q=alpha"},
		{"search inside titles", ann, "?q=ote+1234"},
		{"search by a newcomer", newcomer, "?q=alpha"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := c.who.in(b)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				p.do("GET", notes+c.query, nil).want(http.StatusOK)
				took = append(took, time.Since(began))
			}
			spread(b, took)
			w.spans.Reset()
		})
	}
}
