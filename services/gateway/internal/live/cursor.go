package live

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
)

// Stream is one of the outboxes whose events arrive here.
type Stream uint8

// The streams, in the order in which a cursor names them.
const (
	UserStream Stream = iota
	NoteStream

	streams = 2
)

// Lanes is how many independent orders an outbox has.
const Lanes = 4

// Place is how far one outbox has been seen: the last position of each lane.
type Place [Lanes]int64

// Cursor is how far all outboxes have been seen. Positions are the outboxes' own, so a cursor outlives the streams, which may be
// refilled, and means the same at every gateway.
type Cursor [streams]Place

// ErrCursor is the answer to a text that is not one of our cursors.
var ErrCursor = errors.New("live: not a cursor")

// cursorVersion begins every cursor. Clients come back with cursors of the release before: a change of form needs a new one.
const cursorVersion = 1

const cursorSum = 4

// String writes the cursor as browsers see it: short, safe in JSON without escaping, and nothing to calculate with.
func (c Cursor) String() string {
	b := make([]byte, 1, 1+streams*Lanes*4+cursorSum)
	b[0] = cursorVersion
	for _, place := range c {
		for _, position := range place {
			b = binary.AppendUvarint(b, uint64(position)) //nolint:gosec // positions are never negative
		}
	}
	return base64.RawURLEncoding.EncodeToString(appendSum(b))
}

// ParseCursor reads what String wrote.
func ParseCursor(text string) (Cursor, error) {
	const longest = 1 + streams*Lanes*binary.MaxVarintLen64 + cursorSum
	if len(text) > base64.RawURLEncoding.EncodedLen(longest) {
		return Cursor{}, ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+cursorSum || b[0] != cursorVersion {
		return Cursor{}, ErrCursor
	}
	body := b[:len(b)-cursorSum]
	if string(appendSum(body[:len(body):len(body)])) != string(b) {
		return Cursor{}, ErrCursor
	}
	c, err := parsePlaces(body[1:])
	if err != nil || c.String() != text { // a number can be written longer than it is
		return Cursor{}, ErrCursor
	}
	return c, nil
}

func parsePlaces(b []byte) (Cursor, error) {
	var c Cursor
	for stream := range c {
		for lane := range c[stream] {
			position, n := binary.Uvarint(b)
			if n <= 0 || int64(position) < 0 { //nolint:gosec // a wrapped position is what is looked for
				return Cursor{}, ErrCursor
			}
			c[stream][lane] = int64(position) //nolint:gosec // checked above
			b = b[n:]
		}
	}
	if len(b) > 0 {
		return Cursor{}, ErrCursor
	}
	return c, nil
}

// appendSum guards against truncation and typing errors; a forged cursor gains nothing, since it only says where to begin.
func appendSum(b []byte) []byte {
	h := fnv.New32a()
	_, _ = h.Write(b) // never fails
	return h.Sum(b)
}

// covers reports whether everything that other has seen was seen by c.
func (c Cursor) covers(other Cursor) bool {
	for stream := range c {
		if !c[stream].covers(other[stream]) {
			return false
		}
	}
	return true
}

func (p Place) covers(other Place) bool {
	for lane := range p {
		if p[lane] < other[lane] {
			return false
		}
	}
	return true
}

// merge is the further of both, lane by lane.
func (p Place) merge(other Place) Place {
	for lane := range p {
		p[lane] = max(p[lane], other[lane])
	}
	return p
}
