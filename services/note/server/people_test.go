package server_test

import (
	"net/http"
	"testing"
	"time"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/rest/noterest"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
)

func TestNamesFollowTheUserService(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	user := w.userEvents()
	ann := w.stranger("Ann")
	n := ann.writes("Plan", "")
	if n.Owner.Name != "" {
		t.Fatalf("a name before anybody said it: %q", n.Owner.Name)
	}
	user.say(ann.id, &userv1.UserRegistered{UserId: ann.id, Name: "Ann", Role: "owner", Version: 1})
	eventually(t, "the name", func() bool { return ann.reads(n.Id).Owner.Name == "Ann" })
	user.say(ann.id,
		&userv1.UserRenamed{UserId: ann.id, Name: "Ann III", Version: 3},
		&userv1.UserRenamed{UserId: ann.id, Name: "Ann II", Version: 2}, // late
		&userv1.UserDeactivated{UserId: ann.id, Version: 5})
	eventually(t, "the deactivation", func() bool {
		return w.db.Count(t, "select count(*) from people where id = $1 and not active", ann.id) == 1
	})
	if got := ann.reads(n.Id).Owner.Name; got != "Ann III" {
		t.Fatalf("the name is %q: an older version replaced a newer one", got)
	}
	bob := w.person("Bob")
	m := bob.writes("Bob's", "")
	bob.do("PUT", notes+"/"+m.Id+"/shares/"+ann.id, map[string]any{"role": "viewer"}).problem(http.StatusNotFound, "person-not-found")
	user.say(ann.id,
		&userv1.UserReactivated{UserId: ann.id, Version: 6},
		&userv1.UserDeactivated{UserId: ann.id, Version: 4}) // late
	eventually(t, "the reactivation", func() bool {
		return w.db.Count(t, "select count(*) from people where id = $1 and active", ann.id) == 1
	})
	bob.shares(m.Id, ann, "viewer")
}

func TestSomebodyTheCopyDoesNotKnowIsLookedUp(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.stranger("Bob")
	n := ann.writes("Plan", "")
	if got := ann.shares(n.Id, bob, "viewer"); got.Name != "Bob" {
		t.Fatalf("share: %+v", got)
	}
	asked := w.user.timesAsked()
	ann.shares(n.Id, bob, "editor")
	if w.user.timesAsked() != asked {
		t.Fatal("the directory is asked again for somebody the copy knows by now")
	}
	path := notes + "/" + n.Id + "/shares/"
	ann.do("PUT", path+newID(), map[string]any{"role": "viewer"}).problem(http.StatusNotFound, "person-not-found")
	ann.do("PUT", path+w.personOf(newID(), "Elsewhere").id, map[string]any{"role": "viewer"}).problem(http.StatusNotFound, "person-not-found")
	ann.do("PUT", path+ann.id, map[string]any{"role": "viewer"}).problem(http.StatusBadRequest, "already-owner")
	ann.do("DELETE", path+ann.id, nil).problem(http.StatusBadRequest, "already-owner")
	ann.do("DELETE", path+newID(), nil).problem(http.StatusNotFound, "share-not-found")

	late := w.stranger("Late")
	w.user.Close()
	ann.do("PUT", path+late.id, map[string]any{"role": "viewer"}).problem(http.StatusServiceUnavailable, "upstream-unavailable")
	ann.shares(n.Id, bob, "commenter") // whom the copy knows
	ann.reads(n.Id)                    // and everything else goes on without the user service
}

func TestWhoIsDeletedHandsOver(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	user := w.userEvents()
	ann, bob, eve := w.person("Ann"), w.person("Bob"), w.person("Eve")
	var own []noterest.Note
	for range 120 { // more than one batch
		own = append(own, ann.writes("Ann's", ""))
	}
	ann.shares(own[0].Id, bob, "viewer")
	ann.shares(own[0].Id, eve, "viewer")
	trashed := ann.writes("Trashed", "")
	ann.do("DELETE", notes+"/"+trashed.Id, nil).want(http.StatusNoContent)
	foreign := bob.writes("Bob's", "")
	bob.shares(foreign.Id, ann, "editor")

	user.say(ann.id, &userv1.UserDeleted{UserId: ann.id, ActorId: bob.id, SuccessorId: bob.id, Version: 2})
	eventually(t, "the hand-over", func() bool {
		return w.db.Count(t, "select count(*) from chores") == 0 && len(bob.lists("?limit=100").Items) == 100
	})

	got := bob.reads(own[0].Id)
	if got.Role != "owner" || got.Owner.Id != bob.id || got.Version != own[0].Version {
		t.Fatalf("handed over: %+v", got)
	}
	if n := w.db.Count(t, "select count(*) from note_access where person_id = $1", ann.id); n != 0 {
		t.Fatalf("ann still sees %d notes", n)
	}
	if n := w.db.Count(t, "select count(*) from notes where owner_id = $1", bob.id); n != 122 {
		t.Fatalf("bob owns %d notes", n)
	}
	if len(bob.lists("?view=trash").Items) != 1 {
		t.Fatal("what was in the trash is the successor's, too")
	}
	if changed, e := about[*notev1.NoteOwnerChanged](w.heard, own[0].Id); changed.GetOwnerId() != bob.id || !same(e.Audience, ids(ann, bob, eve)) {
		t.Fatalf("NoteOwnerChanged %v for %v", changed, e.Audience)
	}
	if unshared, _ := about[*notev1.NoteUnshared](w.heard, foreign.Id); unshared.GetPersonId() != ann.id {
		t.Fatalf("NoteUnshared %v", unshared)
	}
	if name := w.db.Count(t, "select count(*) from people where id = $1 and name = '' and deleted", ann.id); name != 1 {
		t.Fatal("the name of a deleted person is kept")
	}
	user.say(ann.id, &userv1.UserRenamed{UserId: ann.id, Name: "Ann again", Version: 9}, &userv1.UserRenamed{UserId: eve.id, Name: "Eva", Version: 2})
	eventually(t, "the event after it", func() bool { return w.db.Count(t, "select count(*) from people where name = 'Eva'") == 1 })
	if w.db.Count(t, "select count(*) from people where name = 'Ann again'") != 0 {
		t.Fatal("a deleted person came back")
	}
}

func TestADeletedWorkspaceLeavesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	user := w.userEvents()
	ann, bob := w.person("Ann"), w.person("Bob")
	other := w.personOf(newID(), "Elsewhere")
	kept := other.writes("Kept", "")
	user.say(w.workspace, &workspacev1.WorkspaceApplied{WorkspaceId: w.workspace, Slug: "acme", Title: "Acme", Version: 1})
	for range 3 {
		n := ann.writes("Plan", "text", "tag")
		ann.shares(n.Id, bob, "viewer")
		w.indexed(n)
	}
	ann.do("POST", notes, map[string]any{}, header{"Idempotency-Key", "k"}).want(http.StatusCreated)
	eventually(t, "the workspace", func() bool { return w.db.Count(t, "select count(*) from workspaces where slug = 'acme'") == 1 })

	user.say(w.workspace, &workspacev1.WorkspaceDeleted{WorkspaceId: w.workspace})
	user.say(ann.id, &userv1.UserRegistered{UserId: newID(), Name: "Late", Version: 1})
	for _, table := range []string{"notes", "note_access", "note_revisions", "note_tags", "note_search", "note_usage", "idempotency_keys", "people", "chores"} {
		eventually(t, "an empty "+table, func() bool {
			return w.db.Count(t, "select count(*) from "+table+" where workspace_id = $1", w.workspace) == 0
		})
	}
	eventually(t, "the order to forget what was told", func() bool {
		return w.db.Count(t, "select count(*) from outbox_forgotten where workspace_id = $1 and type = 'note.v1.WorkspaceCleared'", w.workspace) == 1
	})
	ann.do("POST", notes, map[string]any{}).problem(http.StatusNotFound, "workspace-not-found")
	other.reads(kept.Id)
}

func TestWhatIsOldIsTidiedAway(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	user := w.userEvents()
	ann, bob := w.person("Ann"), w.person("Bob")
	user.say(w.workspace, &workspacev1.WorkspaceApplied{WorkspaceId: w.workspace, Slug: "acme", Title: "Acme", Version: 1})
	eventually(t, "the workspace", func() bool { return w.db.Count(t, "select count(*) from workspaces") == 1 })
	old := ann.writes("Old", "")
	ann.do("DELETE", notes+"/"+old.Id, nil).want(http.StatusNoContent)
	ann.do("POST", notes, map[string]any{}, header{"Idempotency-Key", "k"}).want(http.StatusCreated)
	n := ann.writes("Typed", "")
	for range 5 {
		n = ann.changes(n, map[string]any{"body": n.Body + "x"})
	}
	ann.shares(n.Id, bob, "editor")
	n = bob.changes(n, map[string]any{"body": "bob's"})

	w.clock.advance(20 * 24 * time.Hour)
	w.restart()
	w.clock.advance(-18*24*time.Hour - time.Hour)
	w.restart()
	eventually(t, "the end of old keys", func() bool { return w.db.Count(t, "select count(*) from idempotency_keys") == 0 })
	eventually(t, "thinner revisions", func() bool {
		left := w.db.Count(t, "select count(*) from note_revisions where note_id = $1", n.Id)
		return left == 3 || left == 4 // the first, the end of ann's run (two when five minutes ended in it), and bob's
	})
	if w.db.Count(t, "select count(*) from note_revisions where note_id = $1 and version in (1, 6, 7)", n.Id) != 3 {
		t.Fatal("the first version, the end of a run and the present one stay")
	}
	if w.db.Count(t, "select count(*) from notes where id = $1", old.Id) != 1 {
		t.Fatal("the trash was emptied too early")
	}
	w.clock.advance(30 * 24 * time.Hour)
	w.restart()
	eventually(t, "an empty trash", func() bool { return w.db.Count(t, "select count(*) from notes where id = $1", old.Id) == 0 })
	if deleted, e := about[*notev1.NoteDeleted](w.heard, old.Id); deleted.GetActorId() != "" || !same(e.Audience, ids(ann)) {
		t.Fatalf("NoteDeleted %v for %v", deleted, e.Audience)
	}
}
