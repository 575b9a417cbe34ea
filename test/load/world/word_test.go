package world

import (
	"strings"
	"testing"
)

func TestNoWordIsTheBeginningOfAnother(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for n := range vocabulary {
		w := Word(n)
		if len(w) != 6 || seen[w] {
			t.Fatalf("the %d. word is %q", n, w)
		}
		seen[w] = true
	}
}

func TestAStatementClonesWhatIsNotOverridden(t *testing.T) {
	t.Parallel()
	c := cloning{table: "notes", like: "t.id = $1", from: "seed s", set: map[string]string{"id": "s.id"}}
	want := "insert into notes (id, title, added_later) select s.id, t.title, t.added_later from notes t, seed s where t.id = $1"
	if got := c.statement(strings.Fields("id title added_later")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
