package rest

import (
	"encoding/base64"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"noteworks.dev/services/user/internal/person"
)

// FuzzPeopleCursor: a cursor has one spelling, and holds what can be in a database. The sum is put right, so that what is below it is reached.
func FuzzPeopleCursor(f *testing.F) {
	b := binding{workspace: "w1", text: "an"}
	f.Add("", "ann", b.cursor(person.Place{SortKey: "ann", ID: "0190a5b4-0000-7000-8000-00000000000a"}))
	f.Add("0123456789abcdef", "\xff", "AA")
	f.Add("0123456789abcdef", "a\x00b", "")
	f.Fuzz(func(t *testing.T, id, key, text string) {
		texts := []string{text}
		if len(id) == idSize {
			sum := b.sum(person.Place{SortKey: key, ID: person.ID(uuid.UUID([]byte(id)).String())})
			texts = append(texts, base64.RawURLEncoding.EncodeToString([]byte("\x01"+string(sum)+id+key)))
		}
		for _, text := range texts {
			p, err := b.parse(text)
			if err != nil {
				continue
			}
			if !utf8.ValidString(p.SortKey) || len(text) > maxCursor {
				t.Fatalf("%q leads to %+v", text, p)
			}
			if again := b.cursor(p); again != text {
				t.Fatalf("%q was taken, and is %q", text, again)
			}
		}
	})
}
