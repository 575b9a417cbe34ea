package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/note/server"
)

// atOnce runs all and returns what each answered.
func atOnce[T any](all ...func() T) []T {
	got := make([]T, len(all))
	var started, done sync.WaitGroup
	started.Add(len(all))
	for i, do := range all {
		done.Go(func() {
			started.Done()
			started.Wait()
			got[i] = do()
		})
	}
	done.Wait()
	return got
}

func TestOfTwoEditorsOneWins(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Plan", "")
	ann.shares(n.Id, bob, "editor")
	path := notes + "/" + n.Id
	for round := range 10 {
		var all []func() answer
		for _, p := range []*person{ann, bob} {
			all = append(all, func() answer {
				return p.do("PATCH", path, map[string]any{"body": fmt.Sprintf("%s %d", p.name, round)}, ifMatch(n.Version))
			})
		}
		var won, lost []answer
		for _, a := range atOnce(all...) {
			if a.status == http.StatusOK {
				won = append(won, a)
			} else {
				lost = append(lost, a.problem(http.StatusPreconditionFailed, "stale"))
			}
		}
		if len(won) != 1 {
			t.Fatalf("round %d: %d of two won", round, len(won))
		}
		n = read[noterest.Note](won[0])
		if current := read[noterest.StaleProblem](lost[0]).Current; current.Body != n.Body || current.Version != n.Version {
			t.Fatalf("the loser is shown %+v, not %+v", current, n)
		}
	}
	if got := ann.reads(n.Id); got.Version != 11 || got.Body != n.Body {
		t.Fatalf("in the end: %+v", got)
	}
}

func TestOneIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	key := header{"Idempotency-Key", "key-1"}
	write := func() answer { return ann.do("POST", notes, map[string]any{"title": "Once"}, key) }
	got := atOnce(write, write, write, write)
	id := read[noterest.Note](got[0].want(http.StatusCreated)).Id
	for _, a := range got {
		if other := read[noterest.Note](a.want(http.StatusCreated)).Id; other != id {
			t.Fatalf("two notes: %s and %s", id, other)
		}
	}
	if again := write().want(http.StatusCreated); again.header.Get("Idempotent-Replayed") != "true" || read[noterest.Note](again).Id != id {
		t.Fatalf("again: %v %s", again.header, again.body)
	}
	ann.do("POST", notes, map[string]any{"title": "Other"}, key).problem(http.StatusUnprocessableEntity, "idempotency-key-reused")
	if other := read[noterest.Note](bob.do("POST", notes, map[string]any{"title": "Once"}, key).want(http.StatusCreated)); other.Id == id || other.Owner.Id != bob.id {
		t.Fatal("a key is a person's own")
	}
	if n := w.db.Count(t, "select count(*) from notes"); n != 2 {
		t.Fatalf("%d notes", n)
	}
	ann.do("DELETE", notes+"/"+id, nil).want(http.StatusNoContent)
	ann.do("DELETE", notes+"/"+id+"?permanently=true", nil).want(http.StatusNoContent)
	write().problem(http.StatusConflict, "note-deleted")
	w.clock.advance(25 * time.Hour)
	ann.token = w.user.token(t, ann.workspace, ann.id, w.clock.now())
	if fresh := read[noterest.Note](write().want(http.StatusCreated)); fresh.Id == id {
		t.Fatal("a key counts for a day")
	}
}

func TestTwoDeletesAtOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	trash := func() answer { return ann.do("DELETE", notes+"/"+n.Id, nil) }
	statuses := map[int]int{}
	for _, a := range atOnce(trash, trash) {
		statuses[a.status]++
	}
	if statuses[http.StatusNoContent] != 1 || statuses[http.StatusNotFound] != 1 {
		t.Fatalf("answers: %v", statuses)
	}
	allAbout[*notev1.NoteTrashed](w.heard, n.Id, 1)
}

// holding runs do while somebody else holds the note's row, after they executed statement in their transaction. do must wait for the row;
// then they commit.
func (w *world) holding(n noterest.Note, statement string, args []any, do func() answer) answer {
	w.t.Helper()
	ctx := w.t.Context()
	tx, err := w.db.Superuser.Begin(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, s := range []struct {
		sql  string
		args []any
	}{{rowOf, []any{n.Id}}, {statement, args}} {
		if _, err := tx.Exec(ctx, s.sql, s.args...); err != nil {
			w.t.Fatal(err)
		}
	}
	done := make(chan answer, 1)
	go func() { done <- do() }()
	eventually(w.t, "waiting for the row", func() bool { return w.waiting() > 0 })
	if err := tx.Commit(ctx); err != nil {
		w.t.Fatal(err)
	}
	return <-done
}

// What Unshare does: the row changes and the role goes, in one transaction.
const unshare = `with n as (update notes set access_version = access_version + 1 where id = $1) delete from note_access where note_id = $1 and person_id = $2`

func TestWhoIsUnsharedWhileSavingDoesNotSave(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Plan", "")
	ann.shares(n.Id, bob, "editor")
	w.holding(n, unshare, []any{n.Id, bob.id}, func() answer {
		return bob.do("PATCH", notes+"/"+n.Id, map[string]any{"body": "too late"}, ifMatch(1))
	}).problem(http.StatusNotFound, "not-found")
	if got := ann.reads(n.Id); got.Version != 1 || got.Body != "" {
		t.Fatalf("saved all the same: %+v", got)
	}
}

func TestWhoIsUnsharedMeanwhileIsNotTold(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Plan", "")
	ann.shares(n.Id, bob, "editor")
	w.holding(n, unshare, []any{n.Id, bob.id}, func() answer {
		return ann.do("PATCH", notes+"/"+n.Id, map[string]any{"body": "for nobody else"}, ifMatch(1))
	}).want(http.StatusOK)
	if _, e := about[*notev1.NoteChanged](w.heard, n.Id); !same(e.Audience, ids(ann)) {
		t.Fatalf("told to %v, and only ann (%s) may know", e.Audience, ann.id)
	}
}

// What Pin does.
const pin = `update note_access set pinned = true where note_id = $1 and person_id = $2`

func TestWhoPinsAndArchivesAtOnceHasDoneBoth(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	w.holding(n, pin, []any{n.Id, ann.id}, func() answer { return ann.do("PUT", notes+"/"+n.Id+"/archive", nil) }).want(http.StatusNoContent)
	if got := ann.reads(n.Id); !got.Pinned || !got.Archived {
		t.Fatalf("pinned %v, archived %v", got.Pinned, got.Archived)
	}
}

func TestWhatIsPinnedMeanwhileIsNotPinnedAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	w.holding(n, pin, []any{n.Id, ann.id}, func() answer { return ann.do("PUT", notes+"/"+n.Id+"/pin", nil) }).want(http.StatusNoContent)
	ann.do("DELETE", notes+"/"+n.Id+"/pin", nil).want(http.StatusNoContent)
	if first, _ := about[*notev1.NotePinned](w.heard, n.Id); first.Pinned {
		t.Error("the second time was told, too")
	}
}

func TestAHeldNoteBlocksNoOther(t *testing.T) {
	t.Parallel()
	w := startWorld(t, func(c *server.Config) { c.Database.LockTimeout = 100 * time.Millisecond })
	ann := w.person("Ann")
	held := ann.writes("Held", "")
	var others []noterest.Note
	for range 8 { // in every lane
		others = append(others, ann.writes("Free", ""))
	}
	w.locks(rowOf, held.Id)
	refused := ann.do("PATCH", notes+"/"+held.Id, map[string]any{"body": "x"}, ifMatch(1)).problem(http.StatusServiceUnavailable, "busy")
	if refused.header.Get("Retry-After") == "" {
		t.Error("without Retry-After")
	}
	for _, n := range others {
		ann.changes(n, map[string]any{"body": "x"})
	}
}

func TestAClientThatLeavesCancelsItsQuery(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	w.indexed(ann.writes("Plan", "")) // so that nobody else waits for the table
	w.locks("lock table notes in access exclusive mode")
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		res, err := ann.send(ctx, "GET", notes, nil)
		if err == nil {
			_ = res.Body.Close()
		}
		done <- err
	}()
	eventually(t, "the query", func() bool { return w.waiting() == 1 })
	left := time.Now()
	leave()
	eventually(t, "the end of the query", func() bool { return w.waiting() == 0 })
	if took := time.Since(left); took > time.Second {
		t.Fatalf("the query went on for %s", took)
	}
	if err := <-done; err == nil {
		t.Fatal("somebody who left was answered")
	}
	if strings.Contains(w.logs.String(), `"level":"ERROR"`) {
		t.Fatalf("somebody who left is no error:\n%s", w.logs)
	}
}
