package person

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"noteworks.dev/services/internal/errs"
)

const maxName = 100 // characters

// Name is what others read: one line, trimmed, with something to see in it.
type Name string

// ParseName trims s and refuses what could break a line, reverse its direction or show nothing.
func ParseName(s string) (Name, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "" || !strings.ContainsFunc(s, visible):
		return "", errs.Invalid("name-missing", "Please give a name.").WithField("name")
	case utf8.RuneCountInString(s) > maxName:
		return "", errs.Invalid("name-too-long", "A name has at most %d characters.", maxName).WithField("name")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, notInName):
		return "", errs.Invalid("invalid-name", "A name is one line without control characters.").WithField("name")
	}
	return Name(s), nil
}

func visible(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// notInName lets the joiners pass that emoji and some scripts need; all other format characters, overrides of direction among them, do not.
func notInName(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	if r == zeroWidthJoiner || r == zeroWidthNonJoiner {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}
