package search

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxTerms bounds the work that one query may ask for.
	maxTerms = 24
	// minPart is the shortest part of a word that is looked for inside titles: an index of trigrams knows nothing shorter.
	minPart = 3
)

// Query is what somebody looks for.
type Query struct {
	// Terms is a tsquery literal; "" when the text has no words.
	Terms string
	// Part is a LIKE pattern for the folded title; "" when the text is too short to be looked for inside words.
	Part string
	// Text is the folded text itself.
	Text string

	seek []string
}

// Parse reads what somebody typed. All words must be there, each at least by its beginning, as the last one may not be typed to its end yet.
func Parse(text string) Query {
	q := Query{Text: Fold(text)}
	var terms []string
	words(q.Text, func(word []rune, pairs bool) bool {
		q.seek = append(q.seek, cut(word))
		terms = append(terms, termsOf(word, pairs)...)
		return len(terms) < maxTerms
	})
	if len(terms) > maxTerms {
		terms = terms[:maxTerms]
	}
	q.Terms = strings.Join(terms, " & ")
	if utf8.RuneCountInString(q.Text) >= minPart || q.Terms == "" && q.Text != "" {
		q.Part = "%" + likeEscape.Replace(q.Text) + "%"
	}
	return q
}

func termsOf(word []rune, pairs bool) []string {
	if !pairs || len(word) == 1 {
		return []string{"'" + cut(word) + "':*"}
	}
	var all []string
	for i := range word[:len(word)-1] {
		all = append(all, "'"+string(word[i:i+2])+"'")
	}
	return all
}

// Beginning is a LIKE pattern for titles that begin with the text.
func (q Query) Beginning() string { return likeEscape.Replace(q.Text) + "%" }

// Empty reports whether there is nothing to look for.
func (q Query) Empty() bool { return q.Terms == "" && q.Part == "" }

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`) //nolint:gochecknoglobals // a constant in all but syntax
