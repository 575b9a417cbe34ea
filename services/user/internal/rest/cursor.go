package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

const (
	cursorVersion = 1
	cursorSum     = 8
	maxCursor     = 1024
	idSize        = 16
)

// binding is what a cursor belongs to: it is refused for anything else.
type binding struct {
	workspace tenant.ID
	email     person.Email
	text      string
	// list is which one, empty for people.
	list string
}

// cursor is the version, a sum over place and binding, the id and the sort key, in base64. It holds nothing that the page did not show.
func (b binding) cursor(after person.Place) string {
	id := uuid.MustParse(string(after.ID)) // read from the database a moment ago
	raw := append([]byte{cursorVersion}, b.sum(after)...)
	raw = append(raw, id[:]...)
	raw = append(raw, after.SortKey...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (b binding) parse(cursor string) (person.Place, error) {
	invalid := errs.Invalid("invalid-cursor", "This cursor does not belong to this list.").WithField("cursor")
	const header = 1 + cursorSum + idSize
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(cursor) > maxCursor || len(raw) < header || raw[0] != cursorVersion {
		return person.Place{}, invalid
	}
	if len(cursor) != base64.RawURLEncoding.EncodedLen(len(raw)) { // encoding/base64 reads over line breaks
		return person.Place{}, invalid
	}
	place := person.Place{SortKey: string(raw[header:]), ID: person.ID(uuid.UUID(raw[1+cursorSum : header]).String())}
	if !bytes.Equal(raw[1:1+cursorSum], b.sum(place)) || !text(place.SortKey) {
		return person.Place{}, invalid
	}
	return place, nil
}

// text reports whether s could be in a database: whoever makes a cursor up can write any bytes.
func text(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// sum has NUL between its parts, which none of them can hold.
func (b binding) sum(p person.Place) []byte {
	parts := []string{string(b.workspace), string(b.email), b.text, string(p.ID), p.SortKey}
	if b.list != "" {
		parts = append(parts, b.list)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return sum[:cursorSum]
}
