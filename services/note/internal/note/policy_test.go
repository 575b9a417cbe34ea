package note_test

import (
	"testing"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/note/internal/note"
)

func TestWhatFitsIntoAWorkspace(t *testing.T) {
	t.Parallel()
	room := func(left int64) *int64 { return &left }
	const notes, storage, fits = "notes-limit-reached", "storage-limit-reached", ""
	for _, c := range []struct {
		what string
		room note.Room
		more note.Usage
		want string
	}{
		{"anything without limits", note.Room{}, note.Usage{Notes: 1, Bytes: note.MaxBody}, fits},
		{"the last note", note.Room{Notes: room(1)}, note.Usage{Notes: 1, Bytes: 5}, fits},
		{"a note more than that", note.Room{Notes: room(0)}, note.Usage{Notes: 1}, notes},
		{"a note in a workspace whose limit was lowered", note.Room{Notes: room(-3)}, note.Usage{Notes: 1}, notes},
		{"text in a workspace full of notes", note.Room{Notes: room(0)}, note.Usage{Bytes: 5}, fits},
		{"the last bytes", note.Room{Bytes: room(5)}, note.Usage{Bytes: 5}, fits},
		{"a byte more than that", note.Room{Bytes: room(5)}, note.Usage{Bytes: 6}, storage},
		{"an empty note in a workspace full of text", note.Room{Bytes: room(0)}, note.Usage{Notes: 1}, fits},
		{"another text as long as before", note.Room{Bytes: room(-9)}, note.Usage{}, fits},
		{"a shorter one", note.Room{Bytes: room(-9)}, note.Usage{Bytes: -1}, fits},
		{"a note less", note.Room{Notes: room(-9)}, note.Usage{Notes: -1}, fits},
		{"neither: the notes are named", note.Room{Notes: room(0), Bytes: room(0)}, note.Usage{Notes: 1, Bytes: 1}, notes},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			err := c.room.Takes(c.more)
			if c.want == fits && err != nil {
				t.Fatalf("refused: %v", err)
			}
			if c.want != fits && (errs.KindOf(err) != errs.KindForbidden || errs.CodeOf(err) != c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestWhatANoteCountsAs(t *testing.T) {
	t.Parallel()
	n := note.Note{Body: "äö"}
	here := n.Usage()
	n.TrashedAt = time.Now()
	if trashed := n.Usage(); here != (note.Usage{Notes: 1, Bytes: 4}) || trashed != (note.Usage{Bytes: 4}) || trashed.Since(here) != (note.Usage{Notes: -1}) {
		t.Fatalf("here %+v, in the trash %+v", here, trashed)
	}
}
