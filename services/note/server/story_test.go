package server_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/rest/noterest"
)

const notes = "/api/v1/notes"

func (p *person) writes(title, body string, tags ...string) noterest.Note {
	p.t.Helper()
	draft := map[string]any{"title": title, "body": body}
	if len(tags) > 0 {
		draft["tags"] = tags
	}
	return read[noterest.Note](p.do("POST", notes, draft).want(http.StatusCreated))
}

func (p *person) reads(id string) noterest.Note {
	p.t.Helper()
	return read[noterest.Note](p.do("GET", notes+"/"+id, nil).want(http.StatusOK))
}

func (p *person) changes(n noterest.Note, change map[string]any) noterest.Note {
	p.t.Helper()
	return read[noterest.Note](p.do("PATCH", notes+"/"+n.Id, change, ifMatch(n.Version)).want(http.StatusOK))
}

func (p *person) shares(id string, with *person, role string) noterest.Share {
	p.t.Helper()
	return read[noterest.Share](p.do("PUT", notes+"/"+id+"/shares/"+with.id, map[string]any{"role": role}).want(http.StatusOK))
}

func (p *person) unshares(id string, with *person) {
	p.t.Helper()
	p.do("DELETE", notes+"/"+id+"/shares/"+with.id, nil).want(http.StatusNoContent)
}

func (p *person) lists(query string) noterest.NoteList {
	p.t.Helper()
	return read[noterest.NoteList](p.do("GET", notes+query, nil).want(http.StatusOK))
}

func titles(l noterest.NoteList) []string {
	all := make([]string, len(l.Items))
	for i, n := range l.Items {
		all[i] = n.Title
	}
	return all
}

func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func ids(people ...*person) []string {
	all := make([]string, len(people))
	for i, p := range people {
		all[i] = p.id
	}
	return all
}

func TestTwoPeopleShareANote(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")

	created := ann.do("POST", notes, map[string]any{"title": "Plan", "body": "one", "tags": []string{" Work ", "work", "Home"}}).want(http.StatusCreated)
	n := read[noterest.Note](created)
	if created.header.Get("Location") != notes+"/"+n.Id || created.header.Get("ETag") != `"1"` {
		t.Fatalf("headers of a new note: %v", created.header)
	}
	if n.Role != "owner" || n.Owner.Name != "Ann" || n.Version != 1 || !slices.Equal(n.Tags, []string{"Work", "Home"}) {
		t.Fatalf("new note: %+v", n)
	}
	bob.do("GET", notes+"/"+n.Id, nil).problem(http.StatusNotFound, "not-found")

	share := ann.shares(n.Id, bob, "viewer")
	if share.Name != "Bob" || share.Role != "viewer" || share.SharedBy.Name != "Ann" {
		t.Fatalf("share: %+v", share)
	}
	if got := bob.reads(n.Id); got.Role != "viewer" || got.Owner.Id != ann.id {
		t.Fatalf("bob sees %+v", got)
	}
	if got := titles(bob.lists("?view=shared")); !slices.Equal(got, []string{"Plan"}) {
		t.Fatalf("bob's list: %v", got)
	}
	bob.do("PATCH", notes+"/"+n.Id, map[string]any{"body": "two"}, ifMatch(1)).problem(http.StatusForbidden, "role-too-low")
	ann.shares(n.Id, bob, "editor")
	changed := bob.changes(n, map[string]any{"body": "two"})
	if changed.Version != 2 || changed.UpdatedBy.Name != "Bob" || changed.Title != "Plan" {
		t.Fatalf("changed: %+v", changed)
	}

	shared, e := about[*notev1.NoteShared](w.heard, n.Id)
	if !same(e.Audience, ids(ann, bob)) || shared.GetPersonId() != bob.id || shared.GetRole() != "viewer" || shared.GetTitle() != "Plan" {
		t.Fatalf("NoteShared %v for %v", shared, e.Audience)
	}
	change, e := about[*notev1.NoteChanged](w.heard, n.Id)
	if change.Title != nil || change.GetBody() != "two" || change.GetTags() != nil || change.GetVersion() != 2 || change.GetActorId() != bob.id || !same(e.Audience, ids(ann, bob)) {
		t.Fatalf("NoteChanged %v for %v", change, e.Audience)
	}

	bob.unshares(n.Id, bob) // leaves by himself
	bob.do("GET", notes+"/"+n.Id, nil).problem(http.StatusNotFound, "not-found")
	if unshared, e := about[*notev1.NoteUnshared](w.heard, n.Id); unshared.GetPersonId() != bob.id || !same(e.Audience, ids(ann, bob)) {
		t.Fatalf("NoteUnshared %v for %v", unshared, e.Audience)
	}
}

func TestWhoMayShare(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob, eve, dan := w.person("Ann"), w.person("Bob"), w.person("Eve"), w.person("Dan")
	n := ann.writes("Plan", "")
	path := notes + "/" + n.Id + "/shares/"
	ann.shares(n.Id, eve, "viewer")
	for _, role := range []string{"viewer", "commenter"} {
		ann.shares(n.Id, bob, role)
		bob.do("PUT", path+dan.id, map[string]any{"role": "viewer"}).problem(http.StatusForbidden, "role-too-low")
		bob.do("PUT", path+bob.id, map[string]any{"role": "editor"}).problem(http.StatusForbidden, "role-too-low")
		bob.do("DELETE", path+eve.id, nil).problem(http.StatusForbidden, "role-too-low")
	}
	ann.shares(n.Id, bob, "editor")
	if got := bob.shares(n.Id, dan, "editor"); got.SharedBy.Name != "Bob" {
		t.Fatalf("share: %+v", got)
	}
	bob.do("PUT", path+ann.id, map[string]any{"role": "viewer"}).problem(http.StatusBadRequest, "already-owner")
	bob.do("DELETE", path+ann.id, nil).problem(http.StatusBadRequest, "already-owner")
	bob.unshares(n.Id, eve)
	eve.do("PUT", path+eve.id, map[string]any{"role": "viewer"}).problem(http.StatusNotFound, "not-found")
	eve.do("DELETE", path+eve.id, nil).problem(http.StatusNotFound, "not-found")
	dan.unshares(n.Id, dan)
	if got := read[noterest.ShareList](ann.do("GET", notes+"/"+n.Id+"/shares", nil).want(http.StatusOK)).Items; len(got) != 1 || got[0].Name != "Bob" {
		t.Fatalf("shares in the end: %+v", got)
	}
}

func TestAShareIsOneTrace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Plan", "")
	ann.shares(n.Id, bob, "viewer")
	w.spans.RequirePath(t, "PUT /api/v1/notes/{id}/shares/{userId}", "publish note.v1.NoteShared", "process note.v1.NoteShared")
}

func TestTheTrash(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Old plan", "text")
	ann.shares(n.Id, bob, "editor")
	path := notes + "/" + n.Id

	bob.do("DELETE", path, nil).problem(http.StatusForbidden, "role-too-low")
	ann.do("POST", path+"/restore", nil).problem(http.StatusConflict, "not-trashed")
	ann.do("DELETE", path+"?permanently=true", nil).problem(http.StatusConflict, "not-trashed")
	ann.do("DELETE", path, nil, ifMatch(7)).problem(http.StatusPreconditionFailed, "stale")
	ann.do("DELETE", path, nil, ifMatch(1)).want(http.StatusNoContent)
	ann.do("DELETE", path, nil).problem(http.StatusNotFound, "not-found") // a second one finds nothing
	ann.do("GET", path, nil).problem(http.StatusNotFound, "not-found")
	bob.do("GET", path+"?trashed=true", nil).problem(http.StatusNotFound, "not-found")
	if got := read[noterest.Note](ann.do("GET", path+"?trashed=true", nil).want(http.StatusOK)); got.TrashedAt == nil || got.Version != 2 {
		t.Fatalf("in the trash: %+v", got)
	}
	if len(ann.lists("").Items) != 0 || len(ann.lists("?view=trash").Items) != 1 || len(bob.lists("").Items) != 0 || len(bob.lists("?view=trash").Items) != 0 {
		t.Fatal("a trashed note is in its owner's trash and nowhere else")
	}
	if _, e := about[*notev1.NoteTrashed](w.heard, n.Id); !same(e.Audience, ids(ann, bob)) {
		t.Fatalf("NoteTrashed for %v", e.Audience)
	}

	restored := read[noterest.Note](ann.do("POST", path+"/restore", nil).want(http.StatusOK))
	if restored.Version != 3 || restored.TrashedAt != nil || bob.reads(n.Id).Role != "editor" {
		t.Fatalf("restored: %+v", restored)
	}
	if _, e := about[*notev1.NoteRestored](w.heard, n.Id); !same(e.Audience, ids(ann, bob)) {
		t.Fatalf("NoteRestored for %v", e.Audience)
	}

	ann.do("DELETE", path, nil).want(http.StatusNoContent)
	ann.do("DELETE", path+"?permanently=true", nil).want(http.StatusNoContent)
	ann.do("GET", path+"?trashed=true", nil).problem(http.StatusNotFound, "not-found")
	if _, e := about[*notev1.NoteDeleted](w.heard, n.Id); !same(e.Audience, ids(ann)) {
		t.Fatalf("NoteDeleted for %v", e.Audience)
	}
	for _, table := range []string{"notes", "note_access", "note_revisions", "note_tags"} {
		if left := w.db.Count(t, "select count(*) from "+table); left != 0 {
			t.Errorf("%d rows left in %s", left, table)
		}
	}
}

func TestMarksAreOnesOwn(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Plan", "")
	ann.shares(n.Id, bob, "viewer")
	path := notes + "/" + n.Id

	bob.do("PUT", path+"/pin", nil).want(http.StatusNoContent)
	bob.do("PUT", path+"/pin", nil).want(http.StatusNoContent)
	bob.do("PUT", path+"/archive", nil).want(http.StatusNoContent)
	got := bob.reads(n.Id)
	if !got.Pinned || !got.Archived || got.Version != 1 {
		t.Fatalf("bob's marks: %+v", got)
	}
	if got := ann.reads(n.Id); got.Pinned || got.Archived {
		t.Fatalf("ann's marks: %+v", got)
	}
	for query, want := range map[string]int{"": 0, "?view=shared": 0, "?view=pinned": 1, "?view=archived": 1} {
		if got := len(bob.lists(query).Items); got != want {
			t.Errorf("bob's list %q has %d notes, want %d", query, got, want)
		}
	}
	if _, e := about[*notev1.NotePinned](w.heard, n.Id); !same(e.Audience, ids(bob)) {
		t.Fatalf("NotePinned for %v", e.Audience)
	}
	if _, e := about[*notev1.NoteArchived](w.heard, n.Id); !same(e.Audience, ids(bob)) {
		t.Fatalf("NoteArchived for %v", e.Audience)
	}
	bob.do("DELETE", path+"/pin", nil).want(http.StatusNoContent)
	bob.do("DELETE", path+"/archive", nil).want(http.StatusNoContent)
	if got := len(bob.lists("").Items); got != 1 {
		t.Fatalf("bob's list has %d notes", got)
	}
	if pins := allAbout[*notev1.NotePinned](w.heard, n.Id, 2); len(pins) != 2 {
		t.Fatalf("%d pin events: a mark set again is nothing new", len(pins))
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("First", "one", "a")
	ann.shares(n.Id, bob, "editor")
	path := notes + "/" + n.Id
	second := bob.changes(n, map[string]any{"title": "Second", "body": "two"})
	third := ann.changes(second, map[string]any{"tags": []string{"b"}})

	list := read[noterest.RevisionList](bob.do("GET", path+"/revisions?limit=2", nil).want(http.StatusOK))
	if len(list.Items) != 2 || list.Items[0].Version != 3 || list.Items[1].Author.Name != "Bob" || list.NextCursor == nil {
		t.Fatalf("revisions: %+v", list)
	}
	rest := read[noterest.RevisionList](bob.do("GET", path+"/revisions?limit=2&cursor="+*list.NextCursor, nil).want(http.StatusOK))
	if len(rest.Items) != 1 || rest.Items[0].Version != 1 || rest.NextCursor != nil {
		t.Fatalf("the last page: %+v", rest)
	}
	first := read[noterest.Revision](bob.do("GET", path+"/revisions/1", nil).want(http.StatusOK))
	if first.Title != "First" || first.Body != "one" || !slices.Equal(first.Tags, []string{"a"}) {
		t.Fatalf("revision 1: %+v", first)
	}
	bob.do("GET", path+"/revisions/9", nil).problem(http.StatusNotFound, "revision-not-found")

	bob.do("POST", path+"/revisions/1/restore", nil).problem(http.StatusPreconditionRequired, "if-match-required")
	bob.do("POST", path+"/revisions/1/restore", nil, ifMatch(2)).problem(http.StatusPreconditionFailed, "stale")
	back := read[noterest.Note](bob.do("POST", path+"/revisions/1/restore", nil, ifMatch(third.Version)).want(http.StatusOK))
	if back.Version != 4 || back.Title != "First" || back.Body != "one" || !slices.Equal(back.Tags, []string{"a"}) {
		t.Fatalf("restored: %+v", back)
	}
	same := read[noterest.Note](bob.do("POST", path+"/revisions/1/restore", nil, ifMatch(4)).want(http.StatusOK))
	if same.Version != 4 {
		t.Fatalf("restoring what is there already made version %d", same.Version)
	}
}

func TestAChangeThatChangesNothingIsNoVersion(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "text", "a")
	got := ann.changes(n, map[string]any{"title": "Plan", "body": "text", "tags": []string{"a", "A"}})
	if got.Version != 1 || !got.UpdatedAt.Equal(n.UpdatedAt) {
		t.Fatalf("%+v", got)
	}
	ann.do("PATCH", notes+"/"+n.Id, map[string]any{}, ifMatch(1)).problem(http.StatusBadRequest, "nothing-to-change")
	if got := w.db.Count(t, "select count(*) from outbox"); got != 1 {
		t.Fatalf("%d events", got)
	}
}

func TestALongBodyIsLeftOutOfTheEvent(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	long := make([]byte, 64<<10+1)
	for i := range long {
		long[i] = 'x'
	}
	n := ann.writes("Long", string(long))
	created, _ := about[*notev1.NoteCreated](w.heard, n.Id)
	if created.GetBody() != "" || !created.GetBodyOmitted() {
		t.Fatalf("a body of %d bytes in an event", len(created.GetBody()))
	}
	ann.changes(n, map[string]any{"body": string(long[1:])})
	changed, _ := about[*notev1.NoteChanged](w.heard, n.Id)
	if len(changed.GetBody()) != 64<<10 || changed.GetBodyOmitted() {
		t.Fatalf("a body of %d bytes, omitted %t", len(changed.GetBody()), changed.GetBodyOmitted())
	}
}

func TestValidators(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "text")
	path := notes + "/" + n.Id
	got := ann.do("GET", path, nil).want(http.StatusOK)
	tag, date := header{"If-None-Match", got.header.Get("ETag")}, header{"If-Modified-Since", got.header.Get("Last-Modified")}
	if tag.value != `"1"` || date.value == "" || got.header.Get("Cache-Control") != "private, no-cache" || got.header.Get("Vary") != "Authorization" {
		t.Fatalf("headers: %v", got.header)
	}
	ann.do("GET", path, nil, tag).want(http.StatusNotModified)
	ann.do("GET", path, nil, tag, date).want(http.StatusNotModified)
	ann.do("GET", path, nil, date).want(http.StatusOK)
	ann.do("GET", path, nil, header{"If-None-Match", `W/"7", W/"1"`}).want(http.StatusNotModified)
	ann.do("GET", path, nil, header{"If-None-Match", `"2"`}).want(http.StatusOK)
	head := ann.do("HEAD", path, nil).want(http.StatusOK)
	if len(head.body) != 0 || head.header.Get("ETag") != tag.value {
		t.Fatalf("HEAD: %v %s", head.header, head.body)
	}

	written := ann.do("POST", notes, map[string]any{"title": "Other"}).want(http.StatusCreated)
	if written.header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("the answer to a write is not marked as private: %v", written.header)
	}

	ann.do("PUT", path+"/pin", nil).want(http.StatusNoContent)
	if got := read[noterest.Note](ann.do("GET", path, nil, tag, date).want(http.StatusOK)); !got.Pinned {
		t.Fatal("a pin within the same second was hidden behind a 304")
	}
	list := ann.do("GET", notes, nil).want(http.StatusOK)
	ann.do("GET", notes, nil, header{"If-None-Match", list.header.Get("ETag")}).want(http.StatusNotModified)
	ann.changes(n, map[string]any{"title": "New"})
	ann.do("GET", notes, nil, header{"If-None-Match", list.header.Get("ETag")}).want(http.StatusOK)
	ann.do("HEAD", notes, nil).want(http.StatusOK)
}

func TestVersionsArriveInOrder(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("0", "")
	for range 30 {
		n = ann.changes(n, map[string]any{"title": n.Title + "x"})
	}
	var before int32 = 1
	for _, e := range allAbout[*notev1.NoteChanged](w.heard, n.Id, 30) {
		m := decode[*notev1.NoteChanged](t, e)
		if m.GetVersion() != before+1 {
			t.Fatalf("version %d after %d", m.GetVersion(), before)
		}
		before = m.GetVersion()
	}
}

func TestTagsAreCounted(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	shared := ann.writes("1", "", "Work", "x")
	ann.writes("2", "", "work")
	gone := ann.writes("3", "", "gone")
	ann.do("DELETE", notes+"/"+gone.Id, nil).want(http.StatusNoContent)
	ann.shares(shared.Id, bob, "viewer")

	tags := read[noterest.TagList](ann.do("GET", "/api/v1/tags", nil).want(http.StatusOK)).Items
	if len(tags) != 2 || tags[0].Notes != 2 || tags[1].Tag != "x" {
		t.Fatalf("ann's tags: %+v", tags)
	}
	if tags := read[noterest.TagList](bob.do("GET", "/api/v1/tags", nil)).Items; len(tags) != 2 || tags[0].Tag != "Work" || tags[0].Notes != 1 {
		t.Fatalf("bob's tags: %+v", tags)
	}
	if got := titles(ann.lists("?tag=WORK")); !same(got, []string{"1", "2"}) {
		t.Fatalf("tagged: %v", got)
	}
	ann.changes(shared, map[string]any{"tags": []string{"y"}})
	if got := titles(ann.lists("?tag=work")); !same(got, []string{"2"}) {
		t.Fatalf("tagged after a change: %v", got)
	}
}

func TestEveryPageTogetherIsEverything(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	want := map[string]bool{}
	for i := range 37 {
		owner := []*person{ann, bob}[i%2]
		n := owner.writes(time.Duration(i).String(), "")
		if owner == bob {
			bob.shares(n.Id, ann, "viewer")
		}
		want[n.Id] = true
	}
	busy := ann.writes("busy", "")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := busy; ; {
			select {
			case <-stop:
				return
			default:
				n = ann.changes(n, map[string]any{"title": "busy " + time.Now().String()})
			}
		}
	}()
	for query, next := "?limit=5", ""; ; {
		page := ann.lists(query + next)
		for _, n := range page.Items {
			if n.Id == busy.Id {
				continue
			}
			if !want[n.Id] {
				t.Errorf("%s twice, or not asked for", n.Title)
			}
			delete(want, n.Id)
		}
		if page.NextCursor == nil {
			break
		}
		next = "&cursor=" + *page.NextCursor
	}
	close(stop)
	<-done
	if len(want) > 0 {
		t.Errorf("%d notes were on no page", len(want))
	}
}

func TestSharesArePaged(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	var want []string
	for range 7 {
		p := w.person("P")
		ann.shares(n.Id, p, "commenter")
		want = append(want, p.id)
	}
	var got []string
	for path := notes + "/" + n.Id + "/shares?limit=3"; path != ""; {
		page := read[noterest.ShareList](ann.do("GET", path, nil).want(http.StatusOK))
		for _, s := range page.Items {
			got = append(got, s.UserId)
		}
		path = ""
		if page.NextCursor != nil {
			path = notes + "/" + n.Id + "/shares?limit=3&cursor=" + *page.NextCursor
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("shares %v, want %v", got, want)
	}
}
