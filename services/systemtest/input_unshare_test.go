package systemtest

import (
	"net/http"
	"strings"
	"testing"

	"noteworks.dev/test/client"
)

// until reads a socket up to the creation of a note.
func (a *attacked) until(live *client.Live, noteID string) (before []client.Frame) {
	a.t.Helper()
	for {
		f, err := live.Next(a.ctx())
		a.must(err)
		if f.Type != "event" {
			continue
		}
		if fact, err := f.Fact(); err == nil && f.Event == "note.v1.NoteCreated" && fact.NoteID == noteID {
			return before
		}
		before = append(before, f)
	}
}

// TestWhoIsUnsharedMeanwhileDoesItBeforeOrNotAtAll has an editor send each operation of a note while the owner takes the note away.
func TestWhoIsUnsharedMeanwhileDoesItBeforeOrNotAtAll(t *testing.T) {
	t.Parallel()
	a := attack(t)
	live := a.watch(a.bob, "")
	gone := map[string]bool{}
	for _, o := range a.operations {
		if !strings.HasPrefix(o.path, "/api/v1/notes/{id}") {
			continue
		}
		n, err := a.ann.Create(a.ctx(), o.id, "first")
		a.must(err)
		a.must(a.ann.Share(a.ctx(), n.ID, a.bob.User().ID, "editor"))
		_, err = a.ann.Change(a.ctx(), n.ID, n.Version, "second")
		a.must(err)
		ids := map[string]string{"id": n.ID, "userId": a.bob.User().ID, "version": "1"}
		gone[n.ID] = true
		unshare := letter{method: http.MethodDelete, path: "/api/v1/notes/" + n.ID + "/shares/" + a.bob.User().ID}
		answers := a.together(sent{a.bob.Token(), a.goodAt(o, ids)}, sent{a.ann.Token(), unshare}, sent{a.bob.Token(), a.goodAt(o, ids)})
		if got := answers[1]; got.status != http.StatusNoContent && o.id != "unshareNote" {
			t.Errorf("unshare beside %s: %d %s", o.id, got.status, got.text)
		}
		saved := 0
		for _, got := range []answered{answers[0], answers[2]} {
			if got.status >= 300 {
				a.requireRefusal(o.id+" while unshared", got, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed)
			} else if o.takes("If-Match") {
				saved++
			}
		}
		if now, err := a.ann.Note(a.ctx(), n.ID); err != nil || now.Version != a.version+saved {
			t.Errorf("%s was answered as done %d times, and the note is %+v, %v", o.id, saved, now, err)
		}
		for _, after := range a.operations {
			if strings.HasPrefix(after.path, "/api/v1/notes/{id}") {
				a.requireRefusal(after.id+" after "+o.id, a.send(a.bob.Token(), a.goodAt(after, ids)), http.StatusNotFound)
			}
		}
	}
	last, err := a.bob.Create(a.ctx(), "Last", "")
	a.must(err)
	unshared := map[string]bool{}
	for _, f := range a.until(live, last.ID) {
		fact, err := f.Fact()
		a.must(err)
		if unshared[fact.NoteID] {
			t.Errorf("bob was told %s of a note that had been taken away from him: %s", f.Event, f.Data)
		}
		unshared[fact.NoteID] = unshared[fact.NoteID] || f.Event == "note.v1.NoteUnshared"
	}
	if len(unshared) < len(gone) || len(gone) < 10 {
		t.Errorf("bob heard of %d notes, and %d were taken away from him", len(unshared), len(gone))
	}
}
