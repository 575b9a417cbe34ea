package search

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                  "",
		"  Plan \t B\n":     "plan b",
		"Crème Brûlée":      "creme brulee",
		"cre\u0300me":       "creme",
		"ÅNGSTRÖM":          "angstrom",
		"ＦＵＬＬ　width":        "full width",
		"ﬁne":               "fine",
		"季度计划":              "季度计划",
		"がぎ":                "がぎ",
		"한국어":               "한국어",
		"Ёлка":              "елка",
		"ЖУК":               "жук",
		"½ ℃":               "1⁄2 °c",
		"naïve — C++ & Go!": "naive — c++ & go!",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title string
		tags  []string
		body  string
		want  string
	}{
		{"", nil, "", ""},
		{"Plan", nil, "", "'plan':1A"},
		{"Plan", []string{"B-side"}, "the plan", "'plan':1A,5C 'b':2B 'side':3B 'the':4C"},
		{"计划书", nil, "", "'计划':1A '划书':2A '书':3A"},
		{"Go语言", nil, "it's", "'go':1A '语言':2A '言':3A 'it':4C 's':5C"},
	} {
		if got := Document(c.title, c.tags, c.body); got != c.want {
			t.Errorf("Document(%q, %q, %q) = %s, want %s", c.title, c.tags, c.body, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Query{
		"":       {},
		"  ":     {},
		"Pl":     {Terms: "'pl':*"},
		"plan b": {Terms: "'plan':* & 'b':*", Part: "%plan b%"},
		"计":      {Terms: "'计':*"},
		"计划书":    {Terms: "'计划' & '划书'", Part: "%计划书%"},
		"?":      {Part: "%?%"},
		`50%_\`:  {Terms: "'50':*", Part: `%50\%\_\\%`},
	} {
		got := Parse(in)
		if got.Terms != want.Terms || got.Part != want.Part {
			t.Errorf("Parse(%q) = %q, %q; want %q, %q", in, got.Terms, got.Part, want.Terms, want.Part)
		}
	}
}

// Whatever a text is, its terms need no quoting and stay within what PostgreSQL takes.
func TestTermsAreHarmless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		for _, word := range strings.Split(Document(text, nil, text), "'") {
			if strings.ContainsAny(word, `\&|!<>(`) || !utf8.ValidString(word) {
				t.Fatalf("%q in the document of %q", word, text)
			}
		}
		if q := Parse(text); strings.ContainsAny(strings.NewReplacer("'", "", ":*", "", " & ", "").Replace(q.Terms), `\&|!<>():* `) {
			t.Fatalf("%q asks %q", text, q.Terms)
		}
	})
}

// Any part of a Chinese sentence of a note asks for terms that its document has.
func TestEveryPartIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sentence := []rune(rapid.StringMatching(`[一-龥]{1,30}`).Draw(t, "sentence"))
		from := rapid.IntRange(0, len(sentence)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(sentence)).Draw(t, "to")
		document := Document("", nil, string(sentence))
		for _, term := range strings.Split(Parse(string(sentence[from:to])).Terms, " & ") {
			term = strings.TrimSuffix(strings.TrimSuffix(term, ":*"), "'") // "'计" begins a term of the document
			if !strings.Contains(document, term) {
				t.Fatalf("%s is not in %s", term, document)
			}
		}
	})
}

func TestALongDocumentIsBounded(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	for r := rune(0x4e00); body.Len() < 1<<20; r = 0x4e00 + (r*31)%0x5000 {
		body.WriteRune(r)
	}
	if n := len(Document("title", nil, body.String())); n > 2*maxDocument {
		t.Fatalf("%d bytes", n)
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("a ", 100) + "the Nëedle here" + strings.Repeat(" b", 200)
	got := Excerpt(body, Parse("needle"), 80)
	if utf8.RuneCountInString(got) != 80 || !strings.Contains(got, "Nëedle") || !strings.HasPrefix(got, "…") || !strings.HasSuffix(got, "…") {
		t.Errorf("around the hit: %q", got)
	}
	if got := Excerpt("short", Parse("missing"), 80); got != "short" {
		t.Errorf("without a hit: %q", got)
	}
	if got := Excerpt(body, Parse("missing"), 10); got != "a a a a a…" {
		t.Errorf("the beginning: %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		text, q, n := rapid.String().Draw(t, "text"), rapid.String().Draw(t, "q"), rapid.IntRange(2, 300).Draw(t, "n")
		if got := Excerpt(text, Parse(q), n); utf8.RuneCountInString(got) > n || !utf8.ValidString(got) {
			t.Fatalf("%d characters: %q", utf8.RuneCountInString(got), got)
		}
	})
}

// What a page of a search costs beside the database: an excerpt of a long text, in the script that takes longest.
func BenchmarkExcerpt(b *testing.B) {
	for name, letter := range map[string]string{"Latin": "a ", "Cyrillic": "ж ", "Chinese": "计"} {
		body, q := strings.Repeat(letter, 10_000), Parse("missing")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Excerpt(body, q, 200)
			}
		})
	}
}

func BenchmarkDocument(b *testing.B) {
	body := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200)
	for b.Loop() {
		Document("Title", nil, body)
	}
}
