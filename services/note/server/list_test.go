package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// seeds makes notes of owner as rows, the newest first: number i is called "i" and is as new as its neighbour. Every hundredth is in the trash, every
// fiftieth has the tag "rare". All have the word "often", every tenth "usual", every 500th "rare", and the last thousand "former".
func (w *world) seeds(owner *person, count int) {
	w.t.Helper()
	const id = `('00000000-0000-7000-8000-' || lpad(to_hex(1000000 - i), 12, '0'))::uuid`
	const all = ` from generate_series(0, $3::int - 1) i`
	w.db.Exec(w.t, `insert into notes select $1, `+id+`, $2, i::text, '', '[]', 1, now(), now() - make_interval(secs => i / 2), $2,
		case when i % 100 = 99 then now() end`+all, owner.workspace, owner.id, count)
	w.db.Exec(w.t, `insert into note_access select $1, `+id+`, $2, 4, $2, now(), false, false, now()`+all, owner.workspace, owner.id, count)
	w.db.Exec(w.t, `insert into note_tags select $1, `+id+`, 'rare', 'rare'`+all+` where i % 50 = 49 and $2::uuid is not null`, owner.workspace, owner.id, count)
	w.db.Exec(w.t, `insert into note_search select $1, `+id+`, 1, i::text, to_tsvector('simple', 'often' || case when i % 10 = 0 then ' usual' else '' end ||
		case when i % 500 = 0 then ' rare' else '' end || case when i >= $3 - 1000 then ' former' else '' end), now() - make_interval(secs => i / 2)`+all+
		` where $2::uuid is not null`, owner.workspace, owner.id, count)
	w.db.Exec(w.t, `analyze`)
}

// seesSome shares with p those of the seeded notes that condition, on their number i, chooses.
func (p *person) seesSome(condition string) {
	p.t.Helper()
	p.w.db.Exec(p.t, `insert into note_access select workspace_id, id, $1, 1, owner_id, now(), i % 1000 = 0, i % 500 = 1, now()
		from (select *, title::int as i from notes) n where `+condition, p.id)
}

// A page is read from the person's notes, from the workspace's newest, or from the one after the other in vain: whichever it is, the list is the same.
func TestTheListIsTheSameHoweverMuchOneSees(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const count = 9_000
	owner := w.person("Owner")
	w.seeds(owner, count)
	few, much, old := w.person("Few"), w.person("Much"), w.person("Old")
	few.seesSome("i % 100 < 2 or i % 100 = 99")
	much.seesSome("i % 3 = 0")
	old.seesSome("i >= 5500") // more than can be sorted at once, all behind the newest that are looked through
	trashed := func(i int) bool { return i%100 == 99 }
	for _, c := range []struct {
		name  string
		who   *person
		query string
		want  func(i int) bool
	}{
		{"few", few, "", func(i int) bool { return i%100 < 2 && i%500 != 1 }},
		{"few, archived", few, "&view=archived", func(i int) bool { return i%500 == 1 }},
		{"every third", much, "", func(i int) bool { return i%3 == 0 && i%500 != 1 && !trashed(i) }},
		{"every third, pinned", much, "&view=pinned", func(i int) bool { return i%3000 == 0 }},
		{"every third, with a tag", much, "&tag=rare", func(i int) bool { return i%3 == 0 && i%100 == 49 }},
		{"old ones", old, "&view=shared", func(i int) bool { return i >= 5500 && i%500 != 1 && !trashed(i) }},
		{"old ones, mine", old, "&view=mine", func(int) bool { return false }},
		{"all", owner, "", func(i int) bool { return !trashed(i) }},
		{"all, with a tag", owner, "&tag=rare", func(i int) bool { return i%100 == 49 }},
		{"all, shared with me", owner, "&view=shared", func(int) bool { return false }},
		{"the trash", owner, "&view=trash", trashed},
		{"another's trash", few, "&view=trash", func(int) bool { return false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.who.in(t).pagesThrough("?limit=100" + c.query)
			for i := range count {
				if !c.want(i) {
					continue
				}
				if len(got) == 0 || got[0] != fmt.Sprint(i) {
					t.Fatalf("wanted number %d next, have %v", i, got[:min(5, len(got))])
				}
				got = got[1:]
			}
			if len(got) > 0 {
				t.Errorf("not wanted: %v", got)
			}
		})
	}
}

// pagesThrough are the titles on all pages of a list.
func (p *person) pagesThrough(query string) []string {
	p.t.Helper()
	page := p.lists(query)
	all := titles(page)
	for page.NextCursor != nil {
		page = p.lists(query + "&cursor=" + *page.NextCursor)
		all = append(all, titles(page)...)
	}
	return all
}

// Whoever sees few notes has up to 1,000 hits ranked, others the newest 100.
func TestSearchIsTheSameHoweverMuchOneSees(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const count = 12_000
	owner := w.person("Owner")
	w.seeds(owner, count)
	few, much, old := w.person("Few"), w.person("Much"), w.person("Old")
	few.seesSome("i % 100 < 2")
	much.seesSome("i % 3 = 0")
	old.seesSome("i >= 8500")
	words := map[string]func(i int) bool{
		"often":  func(int) bool { return true },
		"usual":  func(i int) bool { return i%10 == 0 },
		"rare":   func(i int) bool { return i%500 == 0 },
		"former": func(i int) bool { return i >= count-1000 },
		"1199":   func(i int) bool { return strings.Contains(fmt.Sprint(i), "1199") }, // within titles
		"never":  func(int) bool { return false },
	}
	for _, c := range []struct {
		name   string
		who    *person
		ranked int
		sees   func(i int) bool
	}{
		{"few", few, 1000, func(i int) bool { return i%100 < 2 && i%500 != 1 }},
		{"every third", much, 100, func(i int) bool { return i%3 == 0 && i%500 != 1 }},
		{"old ones", old, 100, func(i int) bool { return i >= 8500 && i%500 != 1 }},
		{"all", owner, 100, func(int) bool { return true }},
	} {
		for word, has := range words {
			t.Run(c.name+", "+word, func(t *testing.T) {
				t.Parallel()
				got := c.who.in(t).pagesThrough("?limit=100&q=" + word)
				var want []string
				for i := 0; i < count && len(want) < c.ranked; i++ {
					if has(i) && c.sees(i) && i%100 != 99 {
						want = append(want, fmt.Sprint(i))
					}
				}
				slices.Sort(got) // they are ranked
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("found %d: %v, want %d: %v", len(got), got, len(want), want)
				}
			})
		}
	}
}

func TestAnOldNoteIsFoundByItsTitleAmongManyHits(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	owner := w.person("Owner")
	w.seeds(owner, 3_000)
	for _, table := range []string{"notes", "note_search"} {
		w.db.Exec(t, "update "+table+" set title = 'often' where title = '2900'")
		w.db.Exec(t, "update "+table+" set title = 'often, too' where title = '2901'")
	}
	if got := owner.finds("often"); len(got) != 50 || got[0] != "often, too" || got[1] != "often" {
		t.Errorf("found %q", got)
	}
	if got := owner.finds("2909"); !slices.Equal(got, []string{"2909"}) {
		t.Errorf("found %q", got)
	}
}
