package server_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/errs"
)

func (w *world) release(id string) {
	w.t.Helper()
	if _, err := w.operator().ReleaseWorkspace(w.t.Context(), connect.NewRequest(&workspacev1.ReleaseWorkspaceRequest{WorkspaceId: id})); err != nil {
		w.t.Fatalf("release: %v", err)
	}
}

func (w *world) ask(id string) (*workspacev1.Workspace, error) {
	w.t.Helper()
	res, err := w.operator().GetWorkspace(w.t.Context(), connect.NewRequest(&workspacev1.GetWorkspaceRequest{WorkspaceId: id}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// owned is wanted by an administrator.
func owned(id, slug, administrator string) *workspacev1.ApplyWorkspaceRequest {
	m := wanted(id, slug)
	m.Administrator = administrator
	return m
}

func TestAReleasedWorkspaceWaitsUntilItIsAppliedAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := wanted(newID(t), "acme")
	w.mustApply(m)
	ann := w.browser("acme")
	ann.register("Ann").require(t, http.StatusCreated)

	events := w.since(func() { w.release(m.GetWorkspaceId()); w.release(m.GetWorkspaceId()); w.release(newID(t)) })
	requireTypes(t, events, "workspace.v1.WorkspaceApplied")
	if p, _ := events[0].Data["policy"].(map[string]any); p["suspended"] != true || events[0].Data["version"] != 2.0 {
		t.Errorf("told %v", events[0].Data)
	}
	released, err := w.ask(m.GetWorkspaceId())
	if err != nil || released.GetReleasedAt() == nil || released.GetPolicy().GetSuspended() || released.GetUsage().GetMembers() != 2 {
		t.Errorf("released it is %v, %v", released, err)
	}
	if !ann.place().Suspended {
		t.Error("it does not say that it is suspended")
	}

	events = w.since(func() {
		if again := w.mustApply(m); again.GetReleasedAt() != nil || again.GetWorkspaceId() != m.GetWorkspaceId() {
			t.Errorf("taken up again it is %v", again)
		}
	})
	requireTypes(t, events, "workspace.v1.WorkspaceApplied")
	if p, _ := events[0].Data["policy"].(map[string]any); p["suspended"] != nil || events[0].Data["version"] != 3.0 {
		t.Errorf("told %v", events[0].Data)
	}
	if ann.place().Suspended {
		t.Error("it still says that it is suspended")
	}
	ann.get("/api/v1/me").require(t, http.StatusOK)
}

func TestAReleasedWorkspaceIsAdoptedByItsAdministrator(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	first := owned(newID(t), "acme", "team-a")
	made := w.mustApply(first)
	ann := w.browser("acme")
	ann.register("Ann").require(t, http.StatusCreated)
	w.release(first.GetWorkspaceId())

	next := owned(newID(t), "acme", "team-a")
	next.Title, next.Owner = "Acme again", nil // there is one
	var adopted *workspacev1.Workspace
	events := w.since(func() { adopted = w.mustApply(next) })
	requireTypes(t, events, "workspace.v1.WorkspaceApplied")
	if events[0].Workspace != made.GetWorkspaceId() || events[0].Data["workspaceId"] != made.GetWorkspaceId() || events[0].Data["title"] != "Acme again" {
		t.Errorf("told %+v", events[0])
	}
	if adopted.GetWorkspaceId() != made.GetWorkspaceId() || adopted.GetOwnerId() != made.GetOwnerId() || adopted.GetReleasedAt() != nil ||
		adopted.GetUsage().GetMembers() != 2 || !proto.Equal(adopted.GetCreatedAt(), made.GetCreatedAt()) {
		t.Errorf("adopted it is %v", adopted)
	}
	ann.get("/api/v1/me").require(t, http.StatusOK)
	w.owner("acme")

	before := w.rowVersions()
	events = w.since(func() {
		if again := w.mustApply(next); !proto.Equal(again, adopted) {
			t.Errorf("again: %v", again)
		}
		// Whoever knew it before has let go of it, and asks again at most because an answer got lost.
		w.release(first.GetWorkspaceId())
		if _, err := w.operator().DeleteWorkspace(t.Context(), deletion(first.GetWorkspaceId())); err != nil {
			t.Error(err)
		}
		if _, err := w.applyMessage(first); errs.CodeOf(err) != "slug-taken" {
			t.Errorf("applied by its first id: %v", err)
		}
		if _, err := w.applyMessage(owned(first.GetWorkspaceId(), "elsewhere", "team-a")); errs.CodeOf(err) != "workspace-adopted" {
			t.Errorf("moved by its first id: %v", err)
		}
	})
	if len(events) != 0 || w.rowVersions() != before {
		t.Errorf("told %q", types(events))
	}
	for _, id := range []string{first.GetWorkspaceId(), next.GetWorkspaceId()} {
		if found, err := w.ask(id); err != nil || found.GetWorkspaceId() != made.GetWorkspaceId() {
			t.Errorf("asked for %s: %v, %v", id, found, err)
		}
	}

	next.Slug = "rockets" // the claim is enough
	if moved := w.mustApply(next); moved.GetWorkspaceId() != made.GetWorkspaceId() || moved.GetSlug() != "rockets" {
		t.Errorf("moved it is %v", moved)
	}
	w.release(next.GetWorkspaceId())
	back := owned(first.GetWorkspaceId(), "rockets", "team-a")
	if it := w.mustApply(back); it.GetWorkspaceId() != made.GetWorkspaceId() || it.GetReleasedAt() != nil {
		t.Errorf("back by its own id it is %v", it)
	}
	events = w.since(func() {
		if _, err := w.operator().DeleteWorkspace(t.Context(), deletion(first.GetWorkspaceId())); err != nil {
			t.Error(err)
		}
	})
	requireTypes(t, events, "workspace.v1.WorkspaceDeleted")
	w.requireQuiet()
}

func TestAnAdoptedWorkspaceIsDeletedByItsClaim(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	first, next := owned(newID(t), "acme", "team-a"), owned(newID(t), "acme", "team-a")
	w.mustApply(first)
	w.release(first.GetWorkspaceId())
	w.mustApply(next)
	events := w.since(func() {
		if _, err := w.operator().DeleteWorkspace(t.Context(), deletion(next.GetWorkspaceId())); err != nil {
			t.Fatal(err)
		}
	})
	requireTypes(t, events, "workspace.v1.WorkspaceDeleted")
	if events[0].Data["workspaceId"] != first.GetWorkspaceId() {
		t.Errorf("told %v", events[0].Data)
	}
	if made := w.mustApply(next); made.GetWorkspaceId() != next.GetWorkspaceId() {
		t.Errorf("made anew it is %v", made)
	}
}

func TestWhatIsNotLetGoOfIsNotAdopted(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.mustApply(owned(newID(t), "held", "team-a"))
	let := owned(newID(t), "let", "team-a")
	w.mustApply(let)
	w.release(let.GetWorkspaceId())
	nobodys := wanted(newID(t), "nobodys")
	w.mustApply(nobodys)
	w.release(nobodys.GetWorkspaceId())
	before := w.rowVersions()
	for name, c := range map[string]struct {
		slug, administrator string
		yours               bool
	}{
		"one that is held":                  {"held", "team-a", true},
		"another's that is held":            {"held", "team-b", false},
		"another's":                         {"let", "team-b", false},
		"another's, by nobody":              {"let", "", false},
		"another's, by a name that is near": {"let", "team-a ", false},
		"nobody's, by nobody":               {"nobodys", "", false},
		"nobody's":                          {"nobodys", "team-a", false},
	} {
		_, err := w.applyMessage(owned(newID(t), c.slug, c.administrator))
		if errs.CodeOf(err) != "slug-taken" || codeOf(err) != connect.CodeFailedPrecondition || errs.As(err).Field != "slug" {
			t.Errorf("%s: %v", name, err)
		}
		if told := errs.As(err).Detail; strings.Contains(told, "of yours") != c.yours {
			t.Errorf("%s: told %q", name, told)
		}
	}
	if w.rowVersions() != before {
		t.Error("something changed")
	}
	w.requireQuiet()
}

// TestOneOfManyWinsASlug: of those who make it, and of those who adopt it.
func TestOneOfManyWinsASlug(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	race := func() (winner *workspacev1.Workspace) {
		var all sync.WaitGroup
		var won atomic.Int32
		for range 10 {
			all.Go(func() {
				m := owned(newID(t), "acme", "team-a")
				switch res, err := w.operator().ApplyWorkspace(t.Context(), connect.NewRequest(m)); {
				case err == nil:
					won.Add(1)
					winner = res.Msg
				case errs.CodeOf(err) != "slug-taken":
					t.Errorf("a loser gets %v", err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d won", won.Load())
		}
		return winner
	}
	made := race()
	w.release(made.GetWorkspaceId())
	if adopted := race(); adopted.GetWorkspaceId() != made.GetWorkspaceId() {
		t.Errorf("another was made: %v", adopted)
	}
	w.requireQuiet()
}
