package server_test

import (
	"fmt"
	"net/http"
	"testing"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/note/server"
)

// together runs all while nobody gets at a note, so that they queue, and then lets them go.
func (w *world) together(all ...func() answer) []answer {
	w.t.Helper()
	release := w.locks("lock table notes in access exclusive mode")
	asked := make(chan struct{}, len(all))
	for i, do := range all {
		all[i] = func() answer {
			asked <- struct{}{}
			return do()
		}
	}
	answers := make(chan []answer, 1)
	go func() { answers <- atOnce(all...) }()
	for range all {
		<-asked
	}
	eventually(w.t, "one transaction that waits for the table", func() bool {
		return w.db.Count(w.t, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
			and query like 'select n.id, n.owner_id%'`) == 1
	})
	release()
	return <-answers
}

func patient(c *server.Config) {
	c.Database.AcquireTimeout, c.Database.LockTimeout = patience, patience
}

func TestEditsThatWaitGoTogetherAndEachIsAnsweredForItself(t *testing.T) {
	t.Parallel()
	w := startWorld(t, patient)
	ann, bob := w.person("Ann"), w.person("Bob")
	elsewhere := w.personOf(newID(), "Cat")
	const each = 24
	var (
		all  []func() answer
		want []int
		ok   []*person
		edit []noterest.Note
	)
	add := func(p *person, n noterest.Note, version int32, status int) {
		all = append(all, func() answer {
			return p.do("PATCH", notes+"/"+n.Id, map[string]any{"body": "by " + p.name, "tags": []string{n.Title}}, ifMatch(version))
		})
		want = append(want, status)
		if status == http.StatusOK {
			ok, edit = append(ok, p), append(edit, n)
		}
	}
	for i := range each {
		add(ann, ann.writes(fmt.Sprint("a", i), ""), 1, http.StatusOK)
		add(elsewhere, elsewhere.writes(fmt.Sprint("c", i), ""), 1, http.StatusOK)
		add(bob, ann.writes("not Bob's", ""), 1, http.StatusNotFound)
		add(elsewhere, ann.writes("of another workspace", ""), 1, http.StatusNotFound)
		add(ann, ann.writes("old", ""), 7, http.StatusPreconditionFailed)
		read := ann.writes("for reading", "")
		ann.shares(read.Id, bob, "viewer")
		add(bob, read, 1, http.StatusForbidden)
	}
	for i, a := range w.together(all...) {
		if a.status != want[i] {
			t.Errorf("%s: %d %s, want %d", a.what, a.status, a.body, want[i])
		}
	}
	for i, n := range edit {
		got := ok[i].reads(n.Id)
		if got.Version != 2 || got.Body != "by "+ok[i].name || len(got.Tags) != 1 || got.Tags[0] != n.Title {
			t.Errorf("%s is now %+v", n.Title, got)
		}
		if ok[i] == ann {
			m, e := about[*notev1.NoteChanged](w.heard, n.Id)
			if m.GetVersion() != 2 || m.GetActorId() != ann.id || e.WorkspaceID != ann.workspace || e.TraceParent == "" {
				t.Errorf("told: %v in %s by trace %q", m, e.WorkspaceID, e.TraceParent)
			}
		}
	}
	if held := w.db.Count(t, "select sum(bytes) from note_usage where workspace_id = $1", ann.workspace); held != each*len("by Ann") {
		t.Errorf("%d bytes are counted", held)
	}
	// The first few go at once, and then 64 at a time of the 144 that were asked for, most of them to be refused.
	if n := w.db.Count(t, "select count(distinct xmin::text) from notes where version = 2"); n > 6 {
		t.Errorf("%d transactions for %d edits", n, len(edit))
	}
}

// Whoever saves twice without waiting for the answer has the second refused, also when both wait: it was made to a version that is gone by then.
func TestOfTwoEditsOfANoteThatWaitOneIsStale(t *testing.T) {
	t.Parallel()
	w := startWorld(t, patient)
	ann := w.person("Ann")
	var all []func() answer
	for lane := 0; lane < event.Lanes; {
		n := ann.writes("Twice", "")
		if event.LaneOf(n.Id) != lane {
			continue
		}
		lane++
		for _, body := range []string{"one", "two"} {
			all = append(all, func() answer { return ann.do("PATCH", notes+"/"+n.Id, map[string]any{"body": body}, ifMatch(1)) })
		}
	}
	statuses := map[int]int{}
	for _, a := range w.together(all...) {
		statuses[a.status]++
	}
	if statuses[http.StatusOK] != event.Lanes || statuses[http.StatusPreconditionFailed] != event.Lanes {
		t.Errorf("answers: %v", statuses)
	}
}
