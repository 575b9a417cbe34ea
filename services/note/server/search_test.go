package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"noteworks.dev/services/api/gen/rest/noterest"
)

// indexed waits until the projection has the note at this version.
func (w *world) indexed(n noterest.Note) noterest.Note {
	w.t.Helper()
	eventually(w.t, "indexing of "+n.Title, func() bool {
		return w.db.Count(w.t, "select count(*) from note_search where note_id = $1 and version >= $2", n.Id, n.Version) == 1
	})
	return n
}

func (p *person) finds(q string, more ...string) []string {
	p.t.Helper()
	return titles(p.lists("?q=" + url.QueryEscape(q) + strings.Join(more, "")))
}

func TestSearch(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	for _, n := range []noterest.Note{
		ann.writes("Quarterly planning", "numbers and more numbers", "finance"),
		ann.writes("Café menu", "crème brûlée"),
		ann.writes("季度计划会议", "我们讨论了明年的预算"),
		ann.writes("Shopping", "planning a party; 100% of it, snake_case"),
		ann.writes("ノート", "プロジェクトのまとめ"),
		bob.writes("Bob's planning", "secret"),
	} {
		w.indexed(n)
	}
	cases := []struct {
		name, q string
		want    []string
	}{
		{"a word of a title before one of a body", "planning", []string{"Quarterly planning", "Shopping"}},
		{"the beginning of a word, as it is typed", "numb", []string{"Quarterly planning"}},
		{"a part in the middle of a word of a title", "arterl", []string{"Quarterly planning"}},
		{"over a space in a title", "ly plan", []string{"Quarterly planning"}},
		{"all words", "planning numbers", []string{"Quarterly planning"}},
		{"words in another order and case", "NUMBERS Planning", []string{"Quarterly planning"}},
		{"a word that is missing", "planning elephants", nil},
		{"a tag", "finance", []string{"Quarterly planning"}},
		{"without diacritics", "cafe brulee", []string{"Café menu"}},
		{"with diacritics", "CRÈME", []string{"Café menu"}},
		{"a part of a Chinese title", "计划", []string{"季度计划会议"}},
		{"one Chinese character", "会", []string{"季度计划会议"}},
		{"the last Chinese character", "议", []string{"季度计划会议"}},
		{"a part of a Chinese body", "明年的预算", []string{"季度计划会议"}},
		{"Chinese that is not there", "预明", nil},
		{"a part of a Japanese body", "ジェクト", []string{"ノート"}},
		{"a wildcard is a character", "%", nil},
		{"another wildcard", "_", nil},
		{"syntax of the index", `a' & !b:* | <-> (`, nil},
		{"a quote", `'`, []string{}},
		{"spaces only", "   ", nil},
		{"somebody else's", "secret", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := ann.in(t).finds(c.q); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("%q finds %q, want %q", c.q, got, c.want)
			}
		})
	}
}

func TestSearchFollowsChangesAndAccess(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := w.indexed(ann.writes("Whales", "big"))
	if got := bob.finds("whales"); len(got) > 0 {
		t.Fatalf("bob finds %v", got)
	}
	ann.shares(n.Id, bob, "viewer")
	if got := bob.finds("whales"); len(got) != 1 {
		t.Fatal("access is asked of the tables, not of the projection: it is there at once")
	}
	n = w.indexed(ann.changes(n, map[string]any{"title": "Dolphins"}))
	if len(bob.finds("whales")) > 0 || len(bob.finds("dolphin")) != 1 {
		t.Fatal("the new title should be found, the old one not")
	}
	ann.unshares(n.Id, bob)
	if got := bob.finds("dolphin"); len(got) > 0 {
		t.Fatalf("bob still finds %v", got)
	}
	ann.do("PUT", notes+"/"+n.Id+"/pin", nil).want(http.StatusNoContent)
	ann.writes("Dolphins, the other", "")
	if got := ann.finds("dolphin", "&view=pinned"); !slices.Equal(got, []string{"Dolphins"}) {
		t.Fatalf("pinned: %v", got)
	}
	ann.do("DELETE", notes+"/"+n.Id, nil).want(http.StatusNoContent)
	if got := ann.finds("dolphins", "&view=trash"); !slices.Equal(got, []string{"Dolphins"}) {
		t.Fatalf("in the trash: %v", got)
	}
	ann.do("DELETE", notes+"/"+n.Id+"?permanently=true", nil).want(http.StatusNoContent)
	eventually(t, "removal from the index", func() bool {
		return w.db.Count(t, "select count(*) from note_search where note_id = $1", n.Id) == 0
	})
}

func TestSearchPagesAndShowsTheHit(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	want := map[string]bool{}
	for i := range 11 {
		title := fmt.Sprintf("Note %d", i)
		w.indexed(ann.writes(title, strings.Repeat("filler ", 200)+"the Nëedle"+strings.Repeat(" straw", 100)))
		want[title] = true
	}
	next := ""
	for {
		page := ann.lists("?q=needle&limit=4" + next)
		for _, n := range page.Items {
			if !want[n.Title] {
				t.Errorf("%s twice", n.Title)
			}
			delete(want, n.Title)
			if !strings.Contains(n.Excerpt, "Nëedle") || len([]rune(n.Excerpt)) > 200 {
				t.Errorf("excerpt of %d characters: %q", len([]rune(n.Excerpt)), n.Excerpt)
			}
		}
		if page.NextCursor == nil {
			break
		}
		next = "&cursor=" + *page.NextCursor
	}
	if len(want) > 0 {
		t.Errorf("not on any page: %v", want)
	}
}

func TestTheIndexOfALongNote(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	var body strings.Builder
	for i := 0; body.Len() < 1<<20-20; i++ {
		fmt.Fprintf(&body, "%x ", i*7919)
	}
	w.indexed(ann.writes("Very long", "beginning "+body.String()))
	if got := ann.finds("beginning"); !slices.Equal(got, []string{"Very long"}) {
		t.Fatalf("found %v", got)
	}
}
