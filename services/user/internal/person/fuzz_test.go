package person

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzPerson: addresses and names that are taken are one line of text, in the one spelling that taking them again gives.
func FuzzPerson(f *testing.F) {
	for _, seed := range []string{"ann@example.org", " ANN@EXAMPLE.ORG ", "a@b@c", "a..b@c", "İ@example.org", "\u212a@example.org", "Ann\u202eevE", "\u200d", "🦉", "a\x00b", "\xff", "<a@b>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if email, err := ParseEmail(text); err == nil {
			again, err := ParseEmail(string(email))
			if err != nil || again != email || len(email) > maxEmail || strings.ContainsFunc(string(email), unicode.IsControl) || strings.Count(string(email), "@") != 1 {
				t.Fatalf("%q is the address %q, and that %q, %v", text, email, again, err)
			}
		}
		if name, err := ParseName(text); err == nil {
			again, err := ParseName(string(name))
			if err != nil || again != name || !utf8.ValidString(string(name)) || strings.ContainsFunc(string(name), unicode.IsControl) || utf8.RuneCountInString(string(name)) > maxName {
				t.Fatalf("%q is the name %q, and that %q, %v", text, name, again, err)
			}
		}
	})
}
