// Package search turns text and what people type into the terms that the search projection stores and asks for.
//
// It promises that the same rules make both sides: case and diacritics do not count, words are found by their beginning, and scripts written
// without spaces (Chinese, Japanese, Thai and their like) are cut into overlapping pairs, so that any part of a sentence is found. What it writes is a
// literal of PostgreSQL's tsvector or tsquery made of letters, marks and digits only; nothing in it needs quoting, and no text
// search configuration, locale or extension of the server has a say.
// Imports the standard library and golang.org/x/text.
package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold is s without the differences that do not count: case, diacritics, width, and how much space is between words.
func Fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range norm.NFC.String(s) {
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		writeFolded(&b, r)
	}
	return b.String()
}

// writeFolded writes what one rune folds to, which may be nothing or several.
func writeFolded(b *strings.Builder, r rune) {
	if r < utf8.RuneSelf {
		b.WriteRune(unicode.ToLower(r))
		return
	}
	if isDiacritic(r) {
		return
	}
	var buf [utf8.UTFMax]byte
	parts := norm.NFKD.Properties(buf[:utf8.EncodeRune(buf[:], r)]).Decomposition()
	if parts == nil {
		b.WriteRune(unicode.ToLower(r))
		return
	}
	kept := strings.Map(func(r rune) rune {
		if isDiacritic(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, string(parts))
	b.WriteString(norm.NFC.String(kept))
}

// isDiacritic covers the accents of Latin, Greek and Cyrillic. Marks of other scripts are vowels and voicing: they make another word.
func isDiacritic(r rune) bool { return r >= 0x0300 && r <= 0x036f }

// unspaced reports whether r belongs to a script that does not put spaces between words.
func unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

// maxWord is where a word is cut off: nobody types more, and a lexeme of PostgreSQL is short of 2 kB.
const maxWord = 64

// words calls word for each run of folded that belongs together, until it returns false; pairs says that it is of an unspaced script.
func words(folded string, word func(text []rune, pairs bool) bool) {
	var run []rune
	pairs := false
	flush := func() bool {
		more := len(run) == 0 || word(run, pairs)
		run = run[:0]
		return more
	}
	for _, r := range folded {
		in := inWord(r)
		if p := in && unspaced(r); !in || p != pairs {
			if !flush() {
				return
			}
			pairs = p
		}
		if in {
			run = append(run, r)
		}
	}
	flush()
}

func cut(word []rune) string {
	if len(word) > maxWord {
		word = word[:maxWord]
	}
	return string(word)
}
