package systemtest

import (
	"context"
	"net/http"
	"os"
	"testing"

	"connectrpc.com/connect"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
	"noteworks.dev/test/client"

	"github.com/google/uuid"
)

func TestTwoPeopleShareANoteLiveInOneTrace(t *testing.T) {
	t.Parallel()
	worlds(t, func(w *world) {
		ann, bob := w.owner(), w.signUp("bob")
		live := w.watch(bob, "")

		n, err := ann.Create(w.ctx(), "Hello", "hello")
		w.must(err)
		share := newClick()
		_, err = ann.Do(w.ctx(), http.MethodPut, "/api/v1/notes/"+n.ID+"/shares/"+bob.User().ID, share.header(), map[string]string{"role": "editor"}, nil)
		w.must(err)
		w.waitFor(live, "note.v1.NoteShared", n.ID)

		n, err = ann.Change(w.ctx(), n.ID, n.Version, "hello, Bob")
		w.must(err)
		f, err := w.waitFor(live, "note.v1.NoteChanged", n.ID).Fact()
		w.must(err)
		if f.Body != "hello, Bob" || f.Version != n.Version || f.ActorID != ann.User().ID {
			w.t.Errorf("Bob saw %+v", f)
		}

		w.collector.requirePaths(w.t, share.trace,
			[]string{"gateway: PUT", "note: PUT /api/v1/notes/{id}/shares/{userId}", "note: WITH note_access"},
			[]string{"gateway: PUT", "note: PUT /api/v1/notes/{id}/shares/{userId}", "note: publish note.v1.NoteShared", "note: process note.v1.NoteShared"},
			[]string{"note: publish note.v1.NoteShared", "gateway: push note.v1.NoteShared"},
		)
		w.collector.requireWhole(w.t, share.trace, share.span)
	})
}

func TestTheTraceOfApplyWorkspaceReachesTheNoteServicesCopy(t *testing.T) {
	t.Parallel()
	worlds(t, func(w *world) {
		apply := newClick()
		w.apply(apply, &workspacev1.ApplyWorkspaceRequest{
			WorkspaceId: uuid.NewString(), Slug: "third", Title: "Third",
			Owner: &workspacev1.Owner{Email: "owner@third.example", Name: "Cleo", InitialPassword: "a long first password"},
		})
		w.collector.requirePaths(w.t, apply.trace,
			[]string{"user: workspace.v1.WorkspaceService/ApplyWorkspace", "user: publish workspace.v1.WorkspaceApplied", "note: process workspace.v1.WorkspaceApplied", "note: INSERT"},
		)
		w.collector.requireWhole(w.t, apply.trace, apply.span)
	})
}

// apply stands where the operator stands.
func (w *world) apply(c click, req *workspacev1.ApplyWorkspaceRequest) *workspacev1.Workspace {
	w.t.Helper()
	url, token := w.stack.UserRPC()
	call := connect.NewRequest(req)
	call.Header().Set("Authorization", "Bearer "+token)
	call.Header().Set("Traceparent", c.header().Get("Traceparent"))
	got, err := workspacev1connect.NewWorkspaceServiceClient(http.DefaultClient, url).ApplyWorkspace(w.ctx(), call)
	w.must(err)
	return got.Msg
}

func TestWithoutNATSWritesGoOnAndNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(context.Context, *world) error{
		"restarted":                 func(context.Context, *world) error { return nil },
		"restarted, its files gone": func(_ context.Context, w *world) error { return os.RemoveAll(w.stack.NATSDir()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, nil)
			ann, bob := w.owner(), w.signUp("bob")
			live := w.watch(bob, "")
			n, err := ann.Create(w.ctx(), "Hello", "0")
			w.must(err)
			w.must(ann.Share(w.ctx(), n.ID, bob.User().ID, "viewer"))
			w.waitFor(live, "note.v1.NoteShared", n.ID)

			const writes = 60
			for i := range writes {
				switch i {
				case writes / 3:
					w.must(w.stack.StopNATS(w.ctx()))
					w.must(breaks(w.ctx(), w))
				case 2 * writes / 3:
					w.must(w.stack.StartNATS(w.ctx()))
				}
				n, err = ann.Change(w.ctx(), n.ID, n.Version, "again")
				w.must(err)
			}
			requireEachVersionOnce(w, live, n)
		})
	}
}

// requireEachVersionOnce reads the socket until it shows the note's version: every version before it came once and in order.
func requireEachVersionOnce(w *world, live *client.Live, n client.Note) {
	w.t.Helper()
	for want := 2; want <= n.Version; want++ {
		f, err := w.waitFor(live, "note.v1.NoteChanged", n.ID).Fact()
		w.must(err)
		if f.Version != want {
			w.t.Fatalf("the socket showed version %d where %d was due", f.Version, want)
		}
	}
}
