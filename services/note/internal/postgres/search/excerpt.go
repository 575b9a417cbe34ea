package search

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// lead is how many characters an excerpt shows before the hit.
const lead = 60

// Excerpt is the part of body of at most n characters around the first hit of q, its beginning when q does not hit it. What is left out is
// marked by an ellipsis, which counts.
func Excerpt(body string, q Query, n int) string {
	text := []rune(norm.NFC.String(body))
	start := max(0, hit(text, q)-lead)
	end := min(len(text), start+n)
	var b strings.Builder
	if start > 0 {
		b.WriteRune('…')
		start++
	}
	if end < len(text) {
		b.WriteString(string(text[start : end-1]))
		b.WriteRune('…')
		return b.String()
	}
	b.WriteString(string(text[start:end]))
	return b.String()
}

// hit is the index of the rune at which the first of q's words that is found begins, 0 if none is.
func hit(text []rune, q Query) int {
	var folded strings.Builder
	origin := make([]int, 0, len(text)) // of each folded rune
	for i, r := range text {
		before := folded.Len()
		writeFolded(&folded, r)
		for range utf8.RuneCountInString(folded.String()[before:]) {
			origin = append(origin, i)
		}
	}
	all := folded.String()
	for _, word := range append([]string{q.Text}, q.seek...) {
		if word == "" {
			continue
		}
		if at := strings.Index(all, word); at >= 0 {
			return origin[utf8.RuneCountInString(all[:at])]
		}
	}
	return 0
}
