package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/rest/noterest"
)

// edits is changes of the body.
func (p *person) edits(n noterest.Note, body string) noterest.Note {
	p.w.t.Helper()
	return p.changes(n, map[string]any{"body": body})
}

func TestWhoGoesOnWritingIsNotReadFirst(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, elsewhere := w.person("Ann"), w.personOf(newID(), "Cat")
	one, other := ann.edits(ann.writes("One", ""), "begun"), elsewhere.edits(elsewhere.writes("Other", ""), "begun")
	release := w.locks("lock table people in access exclusive mode") // at which whoever reads a note to change it looks
	for i := range 3 {
		one, other = ann.edits(one, fmt.Sprint("on ", i)), elsewhere.edits(other, fmt.Sprint("on ", i))
	}
	release()
	if got := ann.reads(one.Id); got.Body != "on 2" || got.Version != 5 || got.UpdatedBy.Name != "Ann" {
		t.Errorf("in the end: %+v", got)
	}
	for i, e := range allAbout[*notev1.NoteChanged](w.heard, one.Id, 4) {
		if m := decode[*notev1.NoteChanged](t, e); m.GetVersion() != int32(i+2) || m.GetActorId() != ann.id {
			t.Errorf("told at %d: %v", i, m)
		}
	}
	if n := w.db.Count(t, "select count(*) from note_revisions where note_id = $1", one.Id); n != 5 {
		t.Errorf("%d revisions", n)
	}
	w.requireCounted()
}

func TestWhatHappenedToANoteSinceItsLastEditCountsForTheNext(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	path := func(n noterest.Note) string { return notes + "/" + n.Id }
	for what, c := range map[string]struct {
		happens func(noterest.Note)
		status  int
		answer  func(answer) bool
	}{
		"nothing":               {func(noterest.Note) {}, http.StatusOK, nil},
		"Bob may only read now": {func(n noterest.Note) { ann.shares(n.Id, bob, "viewer") }, http.StatusForbidden, nil},
		"Bob sees it no longer": {
			func(n noterest.Note) { ann.do("DELETE", path(n)+"/shares/"+bob.id, nil).want(http.StatusNoContent) }, http.StatusNotFound, nil,
		},
		"it was thrown away":            {func(n noterest.Note) { ann.trashes(n.Id) }, http.StatusNotFound, nil},
		"it was deleted":                {func(n noterest.Note) { ann.trashes(n.Id); ann.destroys(n.Id) }, http.StatusNotFound, nil},
		"it went to the trash and back": {func(n noterest.Note) { ann.trashes(n.Id); ann.restores(n.Id) }, http.StatusPreconditionFailed, nil},
		"another wrote": {
			func(n noterest.Note) { ann.edits(n, "Ann's") }, http.StatusPreconditionFailed,
			func(a answer) bool { return read[noterest.StaleProblem](a).Current.Body == "Ann's" },
		},
		"Bob pinned it": {
			func(n noterest.Note) { bob.do("PUT", path(n)+"/pin", nil).want(http.StatusNoContent) }, http.StatusOK,
			func(a answer) bool { return read[noterest.Note](a).Pinned },
		},
		"somebody wrote its row past us": {
			func(n noterest.Note) {
				w.db.Exec(t, "update notes set access_version = access_version + 1 where id = $1", n.Id)
			}, http.StatusOK, nil,
		},
	} {
		t.Run(what, func(t *testing.T) {
			n := ann.writes(what, "")
			ann.shares(n.Id, bob, "editor")
			n = bob.edits(n, "Bob's")
			c.happens(n)
			got := bob.do("PATCH", path(n), map[string]any{"body": "Bob's next"}, ifMatch(n.Version)).want(c.status)
			if c.answer != nil && !c.answer(got) {
				t.Errorf("answered %s", got.body)
			}
			if c.status == http.StatusOK && ann.reads(n.Id).Body != "Bob's next" {
				t.Error("it is not what Bob wrote")
			}
		})
	}
}

func TestWhoeverJoinedSinceTheLastEditIsToldOfTheNext(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.edits(ann.writes("Plan", ""), "alone")
	ann.shares(n.Id, bob, "viewer")
	ann.edits(n, "for two")
	all := allAbout[*notev1.NoteChanged](w.heard, n.Id, 2)
	if got := strings.Join(all[1].Audience, " "); !strings.Contains(got, bob.id) {
		t.Errorf("told %s, not Bob", got)
	}
}

func TestANoteThatSomebodyHasLockedKeepsNoOtherWaitingWhoGoesOnWriting(t *testing.T) {
	t.Parallel()
	w := startWorld(t, patient)
	ann, bob := w.person("Ann"), w.person("Bob")
	held, free := ann.edits(ann.writes("Held", ""), "1"), bob.edits(bob.writes("Free", ""), "1")
	release := w.locks(rowOf, held.Id)
	waits := make(chan answer, 1)
	go func() {
		waits <- ann.do("PATCH", notes+"/"+held.Id, map[string]any{"body": "2"}, ifMatch(held.Version))
	}()
	eventually(t, "Ann waits for the lock", func() bool { return w.waiting() == 1 })
	bob.edits(free, "2")
	release()
	(<-waits).want(http.StatusOK)
}
