package event

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Lanes is how many independent orders an outbox keeps. More lanes let more transactions commit at the same time; four keep the cursor
// short, and their locks were not seen to limit writers below 10,000 events a second. Changing it needs an empty outbox.
const Lanes = 4

// LaneOf is the lane of an aggregate, the same for ever.
func LaneOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return int(h.Sum32() % Lanes)
}

// Cursor is a place in an outbox: the last id of each lane that is before it.
type Cursor [Lanes]int64

// ParseCursor reads what String wrote. The empty text is the beginning.
func ParseCursor(text string) (Cursor, error) {
	var c Cursor
	if text == "" {
		return c, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) != Lanes {
		return c, fmt.Errorf("%w: cursor %q has not %d lanes", ErrMalformed, text, Lanes)
	}
	for lane, part := range parts {
		id, err := strconv.ParseInt(part, 10, 64)
		if err != nil || id < 0 {
			return Cursor{}, fmt.Errorf("%w: cursor %q", ErrMalformed, text)
		}
		c[lane] = id
	}
	return c, nil
}

func (c Cursor) String() string {
	b := make([]byte, 0, 64)
	for lane, id := range c {
		if lane > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}

// After is the cursor once the event at position of lane has gone by.
func (c Cursor) After(lane int, position int64) Cursor {
	c[lane] = position
	return c
}

// Before reports whether everything before c is before other, too.
func (c Cursor) Before(other Cursor) bool {
	for lane, id := range c {
		if id > other[lane] {
			return false
		}
	}
	return true
}

// Covers reports whether the event at position of lane is before the cursor, that is, has gone by.
func (c Cursor) Covers(lane int, position int64) bool {
	return lane >= 0 && lane < Lanes && c[lane] >= position
}
