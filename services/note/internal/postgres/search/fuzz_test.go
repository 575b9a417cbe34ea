package search_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"noteworks.dev/services/note/internal/postgres/search"
)

var (
	query  = regexp.MustCompile(`^('[\p{L}\p{M}\p{N}]+'(:\*)?( & '[\p{L}\p{M}\p{N}]+'(:\*)?){0,23})?$`)
	vector = regexp.MustCompile(`^('[\p{L}\p{M}\p{N}]+':\d+[ABC](,\d+[ABC])*( '[\p{L}\p{M}\p{N}]+':\d+[ABC](,\d+[ABC])*)*)?$`)
)

// FuzzSearch: whatever is typed and written, the literals need no quoting and are bounded, a pattern matches what it is made of only, and an excerpt is text of
// the length that was asked for.
func FuzzSearch(f *testing.F) {
	for _, seed := range []string{"hello world", "it's", `\' | !a & b:*`, "100%_\\", "日本語のノート", "é́́", "\xff\xfe", "ǅ ﬃ İ", "a\x00b", "\u202e\u200d", strings.Repeat("a", 300), "ก็ ข้าว", "'':1A"} {
		f.Add(seed, "The "+seed+" of it", 200)
	}
	f.Fuzz(func(t *testing.T, typed, body string, n int) {
		q := search.Parse(typed)
		if !query.MatchString(q.Terms) {
			t.Fatalf("%q asks for %q", typed, q.Terms)
		}
		if bare := strings.NewReplacer(`\\`, "", `\%`, "", `\_`, "").Replace(strings.TrimSuffix(strings.TrimPrefix(q.Part, "%"), "%")); strings.ContainsAny(bare, `%_\`) {
			t.Fatalf("%q is looked for by the pattern %q", typed, q.Part)
		}
		if d := search.Document(typed, []string{typed}, body); !vector.MatchString(d) || len(d) > 2<<20 {
			t.Fatalf("%q and %q are the document %.300q", typed, body, d)
		}
		n = 2 + (n%1000+1000)%1000
		if e := search.Excerpt(body, q, n); !utf8.ValidString(e) || utf8.RuneCountInString(e) > n {
			t.Fatalf("%d characters of %q around %q are %q", n, body, typed, e)
		}
	})
}
