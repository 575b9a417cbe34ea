package server_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/rest/noterest"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/note/internal/note"
	"noteworks.dev/services/note/internal/postgres"
)

// governed is a world whose workspace's policy changes as the user service says it does.
type governed struct {
	*world
	user    *events
	version int32
}

func (w *world) governed() *governed { return &governed{w, w.userEvents(), 0} }

// applies gives the workspace a policy and waits until the service has it.
func (g *governed) applies(p *workspacev1.Policy) {
	g.t.Helper()
	g.version++
	g.user.say(g.workspace, g.state(p, g.version))
	eventually(g.t, "the policy", func() bool {
		return g.db.Count(g.t, "select count(*) from workspaces where workspace_id = $1 and version = $2", g.workspace, g.version) == 1
	})
}

func (g *governed) state(p *workspacev1.Policy, version int32) *workspacev1.WorkspaceApplied {
	return &workspacev1.WorkspaceApplied{WorkspaceId: g.workspace, Slug: "acme", Title: "Acme", Version: version, Policy: p}
}

func notesLimit(n int32) *workspacev1.Policy {
	return &workspacev1.Policy{Limits: &workspacev1.Limits{Notes: n}}
}

func bytesLimit(n int64) *workspacev1.Policy {
	return &workspacev1.Policy{Limits: &workspacev1.Limits{Bytes: n}}
}

func (p *person) trashes(id string) {
	p.t.Helper()
	p.do("DELETE", notes+"/"+id, nil).want(http.StatusNoContent)
}

func (p *person) destroys(id string) {
	p.t.Helper()
	p.do("DELETE", notes+"/"+id+"?permanently=true", nil).want(http.StatusNoContent)
}

func (p *person) restores(id string) answer {
	p.t.Helper()
	return p.do("POST", notes+"/"+id+"/restore", nil)
}

func TestAWorkspaceTakesSoManyNotes(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	ann, bob := g.person("Ann"), g.person("Bob")
	g.applies(notesLimit(2))
	key := header{"Idempotency-Key", "k"}
	one := read[noterest.Note](ann.do("POST", notes, map[string]any{"title": "1"}, key).want(http.StatusCreated))
	two := bob.writes("2", "")

	refused := ann.do("POST", notes, map[string]any{"title": "3"}, header{"Idempotency-Key", "later"}).problem(http.StatusForbidden, "notes-limit-reached")
	if !strings.Contains(string(refused.body), "Put some into the trash, or ask whoever runs the workspace") {
		t.Errorf("it does not say what to do: %s", refused.body)
	}
	again := ann.do("POST", notes, map[string]any{"title": "1"}, key).want(http.StatusCreated)
	if read[noterest.Note](again).Id != one.Id || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a call made again is no new note: %s", again.body)
	}
	one = ann.changes(one, map[string]any{"body": "longer"})
	one = read[noterest.Note](ann.do("POST", notes+"/"+one.Id+"/revisions/1/restore", nil, ifMatch(one.Version)).want(http.StatusOK))
	ann.restores(one.Id).problem(http.StatusConflict, "not-trashed")
	bob.restores(one.Id).problem(http.StatusNotFound, "not-found")

	ann.trashes(one.Id)
	three := read[noterest.Note](ann.do("POST", notes, map[string]any{"title": "3"}, header{"Idempotency-Key", "later"}).want(http.StatusCreated))
	ann.restores(one.Id).problem(http.StatusForbidden, "notes-limit-reached")
	if got := read[noterest.Note](ann.do("GET", notes+"/"+one.Id+"?trashed=true", nil).want(http.StatusOK)); got.TrashedAt == nil {
		t.Error("it left the trash all the same")
	}
	bob.trashes(two.Id)
	ann.restores(one.Id).want(http.StatusOK)
	g.personOf(newID(), "Elsewhere").writes("in another workspace", "")

	g.applies(notesLimit(1)) // takes nothing away
	one = ann.reads(one.Id)
	ann.changes(one, map[string]any{"title": "still mine"})
	ann.trashes(three.Id)
	ann.do("POST", notes, map[string]any{}).problem(http.StatusForbidden, "notes-limit-reached")
	g.applies(notesLimit(2))
	ann.writes("4", "")
	g.applies(nil)
	ann.writes("5", "")
	ann.restores(three.Id).want(http.StatusOK)
}

func TestTheLastPlacesAreGivenOnce(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	ann := g.person("Ann")
	var trashed []string
	for range 10 {
		n := ann.writes("trashed", "")
		ann.trashes(n.Id)
		trashed = append(trashed, n.Id)
	}
	g.applies(notesLimit(10))
	var all []func() answer
	for i := range 50 {
		all = append(all, func() answer {
			if i%5 == 0 {
				return ann.restores(trashed[i/5])
			}
			return ann.do("POST", notes, map[string]any{"title": "new"})
		})
	}
	in := 0
	for _, a := range atOnce(all...) {
		if a.status == http.StatusOK || a.status == http.StatusCreated {
			in++
			continue
		}
		a.problem(http.StatusForbidden, "notes-limit-reached")
	}
	if there := g.db.Count(t, "select count(*) from notes where trashed_at is null"); in != 10 || there != 10 {
		t.Fatalf("%d of 50 came in, %d are there, and 10 may", in, there)
	}
	g.requireCounted()
}

func TestAWorkspaceTakesSoMuchText(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	ann := g.person("Ann")
	g.applies(bytesLimit(10))
	n := ann.writes("ä", "12345") // titles do not count
	m := ann.writes("", "123")
	ann.do("POST", notes, map[string]any{"body": "ää"}).problem(http.StatusForbidden, "storage-limit-reached")
	m = ann.changes(m, map[string]any{"body": "12345"})
	refused := ann.do("PATCH", notes+"/"+m.Id, map[string]any{"body": "123456"}, ifMatch(m.Version)).problem(http.StatusForbidden, "storage-limit-reached")
	if !strings.Contains(string(refused.body), "Shorten notes or delete some for good") {
		t.Errorf("it does not say what to do: %s", refused.body)
	}
	if got := ann.reads(m.Id); got.Body != "12345" || got.Version != m.Version {
		t.Errorf("saved all the same: %+v", got)
	}
	ann.writes("an empty one", "")
	m = ann.changes(m, map[string]any{"body": "54321", "title": "as long as before"})

	ann.trashes(n.Id) // which is no less text
	ann.do("POST", notes, map[string]any{"body": "1"}).problem(http.StatusForbidden, "storage-limit-reached")
	ann.restores(n.Id).want(http.StatusOK)
	g.applies(bytesLimit(3)) // takes nothing away
	m = ann.changes(m, map[string]any{"body": "1234"})
	m = ann.changes(m, map[string]any{"title": "another"})
	ann.do("PATCH", notes+"/"+m.Id, map[string]any{"body": "12345"}, ifMatch(m.Version)).problem(http.StatusForbidden, "storage-limit-reached")
	ann.do("POST", notes+"/"+m.Id+"/revisions/2/restore", nil, ifMatch(m.Version)).problem(http.StatusForbidden, "storage-limit-reached")
	ann.trashes(n.Id)
	ann.destroys(n.Id)
	m = ann.changes(m, map[string]any{"body": ""})
	m = ann.changes(m, map[string]any{"body": "123"})
	g.applies(&workspacev1.Policy{})
	ann.changes(m, map[string]any{"body": "as long as one likes"})
	g.requireCounted()
}

func TestAnOlderPolicyDoesNotReplaceANewerOne(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	ann := g.person("Ann")
	ann.writes("1", "")
	g.version = 6
	g.applies(notesLimit(1))
	g.user.say(g.workspace, g.state(nil, 6), g.state(notesLimit(100), 7),
		&userv1.UserRenamed{UserId: ann.id, Name: "Latest", Version: 2})
	eventually(t, "the event after them", func() bool { return g.db.Count(t, "select count(*) from people where name = 'Latest'") == 1 })
	ann.do("POST", notes, map[string]any{}).problem(http.StatusForbidden, "notes-limit-reached")
}

// tidied runs the service anew, a while later, until it has tidied up these workspaces: it ends with a look at what was counted.
func (w *world) tidied(after time.Duration, workspaces ...string) {
	w.t.Helper()
	const miscounted = 1_000_000
	stop(w.t, w.srv)
	for _, id := range workspaces {
		w.db.Exec(w.t, `insert into note_usage as c values ($1, 0, $2, 0) on conflict (workspace_id, shard) do update set notes = c.notes + excluded.notes`, id, miscounted)
	}
	w.clock.advance(after)
	w.start()
	for _, id := range workspaces {
		eventually(w.t, "the end of the round", func() bool {
			return w.db.Count(w.t, "select coalesce(sum(notes), 0) from note_usage where workspace_id = $1", id) < miscounted
		})
	}
}

func TestTheTrashIsKeptAsLongAsTheWorkspaceWants(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed() // by itself it keeps the trash for 30 days
	ann, elsewhere := g.person("Ann"), g.personOf(newID(), "Elsewhere")
	g.applies(&workspacev1.Policy{Retention: &workspacev1.Retention{TrashDays: 3}})
	g.db.Exec(t, `insert into workspaces values ($1, 'other', 'Other', 1)`, elsewhere.workspace)
	var all []string
	for range 120 { // more than a batch
		n := ann.writes("Trashed", "text")
		ann.trashes(n.Id)
		all = append(all, n.Id)
	}
	here := ann.writes("Here", "text")
	other := elsewhere.writes("Trashed", "")
	elsewhere.trashes(other.Id)
	there := func(ids ...string) int {
		return g.db.Count(t, "select count(*) from notes where id = any($1::uuid[])", ids)
	}

	g.tidied(3*24*time.Hour-time.Hour, g.workspace)
	if there(all...) != len(all) {
		t.Fatal("the trash was emptied too early")
	}
	g.tidied(2*time.Hour, g.workspace, elsewhere.workspace)
	if there(all...) != 0 || there(here.Id) != 1 {
		t.Fatal("the trash, and nothing else, is emptied after three days")
	}
	if there(other.Id) != 1 {
		t.Fatal("what one workspace wants was done to another")
	}
	g.requireCounted()
	about[*notev1.NoteDeleted](g.heard, all[0])

	g.applies(nil)
	ann.token = g.world.user.token(t, ann.workspace, ann.id, g.clock.now())
	ann.trashes(here.Id)
	g.tidied(30*24*time.Hour-time.Hour, g.workspace)
	if there(here.Id) != 1 {
		t.Fatal("without a policy the service's own retention counts")
	}
	g.tidied(2*time.Hour, g.workspace, elsewhere.workspace)
	if there(here.Id, other.Id) != 0 {
		t.Fatal("the service's own retention does not count any more")
	}
}

func TestOldVersionsGoWhenTheWorkspaceWants(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	ann, elsewhere := g.person("Ann"), g.personOf(newID(), "Elsewhere")
	g.applies(&workspacev1.Policy{Retention: &workspacev1.Retention{RevisionDays: 10}})
	g.db.Exec(t, `insert into workspaces values ($1, 'other', 'Other', 1)`, elsewhere.workspace)
	write := func(p *person, changes int) noterest.Note {
		n := p.writes("Written", "")
		for range changes {
			n = p.changes(n, map[string]any{"body": n.Body + "x"})
		}
		return n
	}
	n, other := write(ann, 120), write(elsewhere, 1) // more than a batch
	var untouched []string
	for range 3 {
		untouched = append(untouched, ann.writes("Untouched", "").Id)
	}
	versions := func(ids ...string) int {
		return g.db.Count(t, "select count(*) from note_revisions where note_id = any($1::uuid[])", ids)
	}

	g.tidied(10*24*time.Hour-time.Hour, g.workspace)
	if got := versions(n.Id); got != 121 {
		t.Fatalf("%d versions are left of 121: it is too early", got)
	}
	g.tidied(2*time.Hour, g.workspace, elsewhere.workspace)
	if versions(n.Id) != 1 || versions(untouched...) != 3 {
		t.Fatalf("%d versions are left, want the present one; of notes with no other, %d of 3", versions(n.Id), versions(untouched...))
	}
	if g.db.Count(t, "select count(*) from note_revisions where note_id = $1 and version = $2", n.Id, n.Version) != 1 {
		t.Fatal("the present version is gone")
	}
	if versions(other.Id) != 2 {
		t.Fatal("what one workspace wants was done to another")
	}
	// A version that was replaced just now can be had back, however long ago it was written.
	ann.token = g.world.user.token(t, ann.workspace, ann.id, g.clock.now())
	ann.changes(n, map[string]any{"body": "written over"})
	g.tidied(10*24*time.Hour-time.Hour, g.workspace)
	if got := versions(n.Id); got != 2 {
		t.Fatalf("%d versions, want the present one and the one before it", got)
	}
	g.tidied(2*time.Hour, g.workspace)
	if got := versions(n.Id); got != 1 {
		t.Fatalf("%d versions, want the present one", got)
	}
}

// requireCounted holds what was counted, as others are told it, against what is there.
func (w *world) requireCounted() {
	w.t.Helper()
	var notes, bytes int64
	err := w.db.Superuser.QueryRow(w.t.Context(), `select count(*) filter (where trashed_at is null), coalesce(sum(octet_length(body)), 0)
		from notes where workspace_id = $1`, w.workspace).Scan(&notes, &bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := usageClient(w.srv.RPCAddr(), operatorToken, http.DefaultClient).
		GetUsage(w.t.Context(), connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: w.workspace}))
	if err != nil {
		w.t.Fatal(err)
	}
	if int64(got.Msg.GetNotes()) != notes || got.Msg.GetBytes() != bytes {
		w.t.Fatalf("counted %d notes and %d bytes; there are %d and %d", got.Msg.GetNotes(), got.Msg.GetBytes(), notes, bytes)
	}
}

// However notes come, change and go, one after the other or at once, what is counted is what is there.
func TestTheCountIsRight(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	g.applies(&workspacev1.Policy{Limits: &workspacev1.Limits{Notes: 25, Bytes: 400}, Retention: &workspacev1.Retention{TrashDays: 1}})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var walks []func() *walk
	for i := range uint64(4) {
		w := &walk{person: g.person("Walker"), rand: rand.New(rand.NewPCG(seed, i))}
		walks = append(walks, func() *walk {
			for range 60 {
				w.step()
			}
			return w
		})
	}
	walkers := atOnce(walks...)
	g.requireCounted()
	for range 20 { // now alone, so that each step is held against the truth
		walkers[0].step()
		g.requireCounted()
	}

	g.user.say(walkers[0].id, &userv1.UserDeleted{UserId: walkers[0].id, SuccessorId: walkers[1].id, Version: 2})
	eventually(t, "the hand-over", func() bool {
		return g.db.Count(t, "select count(*) from notes where owner_id = $1", walkers[0].id) == 0
	})
	g.requireCounted()
	g.clock.advance(25 * time.Hour)
	g.restart()
	eventually(t, "an empty trash", func() bool { return g.db.Count(t, "select count(*) from notes where trashed_at is not null") == 0 })
	g.requireCounted()
	if strings.Contains(g.logs.String(), "usage was counted anew") {
		t.Error("the count was right only because it was put right")
	}

	g.user.say(g.workspace, &workspacev1.WorkspaceDeleted{WorkspaceId: g.workspace})
	eventually(t, "the end of it all", func() bool {
		return g.db.Count(t, "select count(*) from chores") == 0 && g.db.Count(t, "select count(*) from notes") == 0
	})
	eventually(t, "the end of the count", func() bool { return g.db.Count(t, "select count(*) from note_usage") == 0 })
	g.requireCounted()
}

// walk is somebody who does things to their own notes at random. What is refused is refused for want of room.
type walk struct {
	*person
	rand          *rand.Rand
	here, trashed []noterest.Note
}

func (w *walk) step() {
	w.t.Helper()
	body := map[string]any{"body": strings.Repeat("ä", w.rand.IntN(20)), "tags": []string{"t"}}
	switch w.rand.IntN(8) {
	case 0, 1, 2:
		if a := w.do("POST", notes, body); w.hasRoom(a, http.StatusCreated) {
			w.here = append(w.here, read[noterest.Note](a))
		}
	case 3, 4:
		w.draw(&w.here, func(n noterest.Note) {
			a := w.do("PATCH", notes+"/"+n.Id, body, ifMatch(n.Version))
			if w.hasRoom(a, http.StatusOK) {
				n = read[noterest.Note](a)
			}
			w.here = append(w.here, n)
		})
	case 5:
		w.draw(&w.here, func(n noterest.Note) {
			w.trashes(n.Id)
			w.trashed = append(w.trashed, n)
		})
	case 6:
		w.draw(&w.trashed, func(n noterest.Note) {
			a := w.restores(n.Id)
			if !w.hasRoom(a, http.StatusOK) {
				w.trashed = append(w.trashed, n)
				return
			}
			w.here = append(w.here, read[noterest.Note](a))
		})
	case 7:
		w.draw(&w.trashed, func(n noterest.Note) { w.destroys(n.Id) })
	}
}

func (w *walk) hasRoom(a answer, done int) bool {
	w.t.Helper()
	if a.status == http.StatusForbidden {
		return false
	}
	a.want(done)
	return true
}

// draw takes one of all, if there is one.
func (w *walk) draw(all *[]noterest.Note, do func(noterest.Note)) {
	w.t.Helper()
	if len(*all) == 0 {
		return
	}
	i := w.rand.IntN(len(*all))
	n := (*all)[i]
	*all = slices.Delete(*all, i, i+1)
	do(n)
}

// A version of the service that does not count may have written meanwhile.
func TestAWrongCountIsPutRight(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	g.applies(nil)
	ann := g.person("Ann")
	n := ann.writes("1", "12345")
	ann.writes("2", "12345")
	stop(t, g.srv)
	g.db.Exec(t, `update notes set body = 'ä' where id = $1`, n.Id)
	g.db.Exec(t, `delete from note_usage where shard = (select min(shard) from note_usage)`)
	g.start()
	eventually(t, "the line in the log", func() bool { return strings.Contains(g.logs.String(), "usage was counted anew") })
	eventually(t, "the right count", func() bool {
		return g.db.Count(t, "select sum(bytes) from note_usage") == 7 && g.db.Count(t, "select sum(notes) from note_usage") == 2
	})
	g.requireCounted()
	ann.changes(n, map[string]any{"body": "123"})
	g.requireCounted()
}

// What others write while it is put right is neither forgotten nor counted twice, and two who put it right do so once.
func TestACountIsPutRightWhileOthersWrite(t *testing.T) {
	t.Parallel()
	g := startWorld(t).governed()
	store := postgres.New(g.db.DB, nil) // there is nothing to tell
	var all []func() bool
	for i := range uint64(3) {
		w := &walk{person: g.person("Walker"), rand: rand.New(rand.NewPCG(1, i))}
		all = append(all, func() bool {
			for range 60 {
				w.step()
			}
			return true
		})
	}
	all = append(all, func() bool {
		for range 15 {
			g.db.Exec(t, `insert into note_usage as c values ($1, 0, 7, 7) on conflict (workspace_id, shard) do update set notes = c.notes + 7, bytes = c.bytes + 7`, g.workspace)
			recount := func() note.Usage {
				off, err := store.Recount(t.Context(), note.WorkspaceID(g.workspace))
				if err != nil {
					t.Error(err)
				}
				return off
			}
			by := atOnce(recount, recount)
			if (note.Usage{Notes: -7, Bytes: -7}).Since(by[0]) != by[1] {
				t.Errorf("put right by %+v, which is too much or too little", by)
			}
		}
		return true
	})
	atOnce(all...)
	g.requireCounted()
}
