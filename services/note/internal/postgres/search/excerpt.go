package search

import (
	"strings"

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
	folded.Grow(len(text))
	for _, r := range text {
		writeFolded(&folded, r)
	}
	for _, word := range append([]string{q.Text}, q.seek...) {
		if at := strings.Index(folded.String(), word); word != "" && at >= 0 {
			return origin(text, at)
		}
	}
	return 0
}

// origin is the index of the rune of text whose folding reaches beyond the byte at.
func origin(text []rune, at int) int {
	var folded strings.Builder
	for i, r := range text {
		if writeFolded(&folded, r); folded.Len() > at {
			return i
		}
	}
	return 0
}
