package person

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"noteworks.dev/services/internal/errs"
)

const (
	maxEmail     = 254 // bytes, RFC 5321's path without the angle brackets
	maxEmailName = 64
)

// Email is an address in the one spelling we compare: trimmed and in lower case. Its domain is left as it was given, IDNA included.
type Email string

// ParseEmail normalises s. It refuses what cannot be an address and does not try to prove that it is one.
func ParseEmail(s string) (Email, error) {
	valid := utf8.ValidString(s) // before ToLower, which mends it
	s = strings.ToLower(strings.TrimSpace(s))
	name, domain, one := strings.Cut(s, "@")
	switch {
	case !valid, !one || strings.Contains(domain, "@"),
		len(s) > maxEmail || len(name) > maxEmailName,
		!dotted(name) || !dotted(domain),
		strings.ContainsFunc(s, notInAddress):
		return "", errs.Invalid("invalid-email", "This is not an e-mail address.").WithField("email")
	}
	return Email(s), nil
}

// dotted reports whether s has at least one label and no empty one.
func dotted(s string) bool {
	return s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}

func notInAddress(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsGraphic(r) || strings.ContainsRune(`<>()[]\,;:"`, r)
}
