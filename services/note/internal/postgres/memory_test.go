package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/note/internal/note"
)

// recollection is a memory at a time that the test sets.
type recollection struct {
	memory *memory
	at     time.Time
}

func newRecollection() *recollection {
	r := &recollection{at: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	r.memory = newMemory(func() time.Time { return r.at })
	return r
}

func by(person note.PersonID, id note.ID) *entry {
	return &entry{Value: &edit{actor: note.Actor{Workspace: "w", Person: person}, id: id}}
}

// written is an edit as it is after it was written.
func written(person note.PersonID, id note.ID, body string) *entry {
	e := by(person, id)
	e.Value.got = &locked{Sight: note.Sight{Note: note.Note{ID: id, Body: body}, Viewer: person}}
	e.Value.mark, e.Value.changed = mark{note: 1, access: 2, own: 3}, true
	return e
}

func (r *recollection) knows(person note.PersonID, id note.ID) bool {
	return r.memory.recall([]*entry{by(person, id)})
}

func TestANoteIsRememberedForWhoWroteItAsItThenWas(t *testing.T) {
	t.Parallel()
	r := newRecollection()
	r.memory.keep([]*entry{written("ann", "1", "four")}, nil)
	again := by("ann", "1")
	if !r.memory.recall([]*entry{again}) {
		t.Fatal("forgotten")
	}
	if got := again.Value; got.got.Body != "four" || got.got.was.Bytes != 4 || got.mark.note != 3 || got.mark.access != 2 {
		t.Errorf("remembered %+v by %+v", got.got, got.mark)
	}
	again.Value.got.Body = "decided upon, and then not written"
	third := by("ann", "1")
	if r.memory.recall([]*entry{third}); third.Value.got.Body != "four" {
		t.Errorf("remembered as %q", third.Value.got.Body)
	}
	for _, stranger := range []*entry{by("bob", "1"), by("ann", "2")} {
		if r.memory.recall([]*entry{again, stranger}) {
			t.Errorf("%s's %s is remembered", stranger.Value.actor.Person, stranger.Value.id)
		}
	}
}

func TestWhatCannotBeReliedUponIsNotRemembered(t *testing.T) {
	t.Parallel()
	room := int64(1000)
	for what, change := range map[string]func(*edit){
		"not written":           func(v *edit) { v.changed = false },
		"a limited workspace's": func(v *edit) { v.got.room.Bytes = &room },
		"a large one":           func(v *edit) { v.got.Body = strings.Repeat("x", rememberedBytes+1) },
	} {
		r := newRecollection()
		r.memory.keep([]*entry{written("ann", "1", "before")}, nil)
		e := written("ann", "1", "after")
		change(e.Value)
		r.memory.keep([]*entry{e}, nil)
		if r.knows("ann", "1") {
			t.Errorf("%s is remembered", what)
		}
	}
}

func TestAfterAFailureNothingIsRemembered(t *testing.T) {
	t.Parallel()
	r := newRecollection()
	r.memory.keep([]*entry{written("ann", "1", ""), written("ann", "2", "")}, nil)
	r.memory.keep([]*entry{written("ann", "3", "")}, errors.New("nobody knows what was written"))
	for _, id := range []note.ID{"1", "2", "3"} {
		if r.knows("ann", id) {
			t.Errorf("%s is remembered", id)
		}
	}
}

func TestANoteIsForgottenInTimeWhateverElseIsWritten(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{true, false} {
		r := newRecollection()
		r.memory.keep([]*entry{written("ann", "1", "")}, nil)
		for range int(rememberedFor / time.Second) {
			r.at = r.at.Add(time.Second)
			if !r.knows("ann", "1") {
				t.Fatal("forgotten too early")
			}
			if !quiet {
				r.memory.keep([]*entry{written("ann", "another", "")}, nil)
			}
		}
		r.at = r.at.Add(time.Millisecond)
		if r.knows("ann", "1") {
			t.Errorf("remembered for longer; quiet: %v", quiet)
		}
	}
}

func TestOnlySoManyNotesAreRemembered(t *testing.T) {
	t.Parallel()
	r := newRecollection()
	for i := range 5 * rememberedNotes {
		r.memory.keep([]*entry{written("ann", note.ID(fmt.Sprint(i)), "")}, nil)
		if kept := len(r.memory.young) + len(r.memory.old); kept > 2*rememberedNotes+1 {
			t.Fatalf("%d are", kept)
		}
	}
	if !r.knows("ann", note.ID(fmt.Sprint(5*rememberedNotes-1))) {
		t.Error("the last is not")
	}
}
