package rest

import (
	"encoding/base64"
	"strings"
	"testing"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
)

func TestACursorBelongsToItsList(t *testing.T) {
	t.Parallel()
	here := binding{workspace: "w1", email: "", text: "an"}
	place := person.Place{SortKey: strings.Repeat("ä", 100), ID: "0190a5b4-0000-7000-8000-00000000000a"}
	cursor := here.cursor(place)
	if back, err := here.parse(cursor); err != nil || back != place {
		t.Fatalf("parse = %+v, %v", back, err)
	}
	if len(cursor) > maxCursor {
		t.Errorf("a cursor of %d characters", len(cursor))
	}
	for name, other := range map[string]binding{
		"another workspace": {workspace: "w2", text: "an"}, "another query": {workspace: "w1", text: "a"}, "another address": {workspace: "w1", email: "a@b", text: "an"},
	} {
		if _, err := other.parse(cursor); errs.CodeOf(err) != "invalid-cursor" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForgedCursorsAreRefused(t *testing.T) {
	t.Parallel()
	b := binding{workspace: "w1"}
	cursor := b.cursor(person.Place{SortKey: "ann", ID: "0190a5b4-0000-7000-8000-00000000000a"})
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"", "0", "x", "../..", cursor[:len(cursor)-2], cursor + "AAAA", cursor + "=", strings.Repeat("A", 5000), "\x00", "%00"}
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 0x20
		forged = append(forged, base64.RawURLEncoding.EncodeToString(changed))
	}
	for _, f := range forged {
		if _, err := b.parse(f); errs.CodeOf(err) != "invalid-cursor" {
			t.Errorf("parse(%.40q) = %v", f, err)
		}
	}
}

// The sum keeps out mistakes and not attackers: its recipe is known.
func TestACursorMadeUpOfWhatIsNoTextIsRefused(t *testing.T) {
	t.Parallel()
	b := binding{workspace: "w1"}
	for _, key := range []string{"\xff", "a\x00b", "\xed\xa0\x80"} {
		if _, err := b.parse(b.cursor(person.Place{SortKey: key, ID: "0190a5b4-0000-7000-8000-00000000000a"})); errs.CodeOf(err) != "invalid-cursor" {
			t.Errorf("%q: %v", key, err)
		}
	}
}
