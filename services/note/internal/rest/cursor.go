package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/note/internal/note"
)

// list is what a cursor belongs to: it is refused for anything else.
type list struct {
	name  string
	actor note.Actor
	of    []string // what was asked for
}

const (
	cursorVersion = 1
	cursorSum     = 8
	cursorBody    = 1 + 4 + 8 + 4 + 16 // version, rank, time, note version, id
)

// cursor is where p is, and a sum of it and of the list. It holds nothing that the page did not show, so the sum keeps out mistakes and not
// attackers: whoever makes one up pages through what they may see.
func (l list) cursor(p *note.Place) *string {
	if p == nil {
		return nil
	}
	raw := make([]byte, 0, cursorBody+cursorSum)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint32(raw, math.Float32bits(p.Rank))
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.At.UnixMicro())) //nolint:gosec // read back the same way
	raw = binary.BigEndian.AppendUint32(raw, uint32(p.Version))        //nolint:gosec // never negative
	id := uuid.Nil
	if p.ID != "" {
		id = uuid.MustParse(p.ID) // read from the database a moment ago
	}
	raw = append(raw, id[:]...)
	text := base64.RawURLEncoding.EncodeToString(append(raw, l.sum(raw)...))
	return &text
}

func (l list) place(cursor string) (*note.Place, error) {
	foreign := errs.Invalid("invalid-cursor", "This cursor does not belong to this list.").WithField("cursor")
	if len(cursor) != base64.RawURLEncoding.EncodedLen(cursorBody+cursorSum) { // encoding/base64 reads over line breaks
		return nil, foreign
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != cursorBody+cursorSum || raw[0] != cursorVersion || !bytes.Equal(raw[cursorBody:], l.sum(raw[:cursorBody])) {
		return nil, foreign
	}
	p := note.Place{
		Rank:    math.Float32frombits(binary.BigEndian.Uint32(raw[1:])),
		At:      time.UnixMicro(int64(binary.BigEndian.Uint64(raw[5:]))).UTC(), //nolint:gosec // as written
		Version: int32(binary.BigEndian.Uint32(raw[13:])),                      //nolint:gosec // as written
		ID:      uuid.UUID(raw[17:33]).String(),
	}
	if !somewhere(p) {
		return nil, foreign
	}
	return &p, nil
}

// somewhere reports whether a note could be at p: whoever makes a cursor up can write any bits, and a database can not read all of them.
func somewhere(p note.Place) bool {
	rank := !math.IsNaN(float64(p.Rank)) && !math.IsInf(float64(p.Rank), 0)
	at := p.At.IsZero() || p.At.Unix() >= 0 && p.At.Year() < 10_000 // revisions stand in the order of their versions alone
	return rank && at && p.Version >= 0
}

// sum has NUL between its parts, which none of them can hold.
func (l list) sum(body []byte) []byte {
	parts := append([]string{l.name, string(l.actor.Workspace), string(l.actor.Person)}, l.of...)
	sum := sha256.Sum256(append([]byte(strings.Join(parts, "\x00")+"\x00"), body...))
	return sum[:cursorSum]
}
