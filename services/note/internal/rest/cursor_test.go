package rest

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/note/internal/note"
)

func anyPlace(t *rapid.T) note.Place {
	return note.Place{
		Rank:    rapid.Float32().Draw(t, "rank"),
		At:      time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "at")).UTC(),
		ID:      uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")).String(),
		Version: rapid.Int32Min(0).Draw(t, "version"),
	}
}

func TestACursorLeadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := list{"notes", note.Actor{Person: "p", Workspace: "w"}, []string{rapid.String().Draw(t, "q")}}
		place := anyPlace(t)
		got, err := l.place(*l.cursor(&place))
		if err != nil || *got != place {
			t.Fatalf("%+v, %v; want %+v", got, err, place)
		}
	})
}

func TestACursorOfAnotherListIsRefused(t *testing.T) {
	t.Parallel()
	mine := list{"notes", note.Actor{Person: "p", Workspace: "w"}, []string{"all", "tag", "q"}}
	place := note.Place{At: time.Unix(1, 0), ID: uuid.NewString()}
	cursor := *mine.cursor(&place)
	for _, other := range []list{
		{"shares", mine.actor, mine.of},
		{"notes", note.Actor{Person: "q", Workspace: "w"}, mine.of},
		{"notes", note.Actor{Person: "p", Workspace: "v"}, mine.of},
		{"notes", mine.actor, []string{"mine", "tag", "q"}},
		{"notes", mine.actor, []string{"all", "tagq", ""}},
	} {
		if _, err := other.place(cursor); errs.CodeOf(err) != "invalid-cursor" {
			t.Errorf("%+v takes it: %v", other, err)
		}
	}
}

func TestACursorWithAnythingChangedIsRefused(t *testing.T) {
	t.Parallel()
	l := list{"notes", note.Actor{Person: "p", Workspace: "w"}, nil}
	rapid.Check(t, func(t *rapid.T) {
		place := anyPlace(t)
		raw, err := base64.RawURLEncoding.DecodeString(*l.cursor(&place))
		if err != nil {
			t.Fatal(err)
		}
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		cut := rapid.IntRange(0, len(raw)).Draw(t, "length")
		for _, forged := range [][]byte{raw, raw[:cut], append(raw, 0)} {
			if _, err := l.place(base64.RawURLEncoding.EncodeToString(forged)); errs.CodeOf(err) != "invalid-cursor" {
				t.Fatalf("taken: %x", forged)
			}
		}
	})
}
