package controller_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/controller"
	"noteworks.dev/operator/internal/platformtest"
)

var errFault = errors.New("a fault of the test")

// A story is something that happens to a workspace, and what has to be true in the end.
type story struct {
	begin func(*world) *v1alpha1.NoteWorkspace // all that is done before faults
	end   func(*world, *v1alpha1.NoteWorkspace)
}

func stories() map[string]story {
	settled := func(w *world, change ...func(*v1alpha1.NoteWorkspace)) *v1alpha1.NoteWorkspace {
		ws := w.apply("acme", change...)
		w.reconcile(ws)
		return ws
	}
	return map[string]story{
		"create": {
			begin: func(w *world) *v1alpha1.NoteWorkspace { return w.apply("acme") },
			end:   func(w *world, ws *v1alpha1.NoteWorkspace) { w.isWhole(ws, string(ws.UID)) },
		},
		"change": {
			begin: func(w *world) *v1alpha1.NoteWorkspace {
				ws := settled(w)
				w.change(ws, func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Title, ws.Spec.Host = "Acme", ws.Spec.Slug+".example.net" })
				return ws
			},
			end: func(w *world, ws *v1alpha1.NoteWorkspace) {
				w.isWhole(ws, string(ws.UID))
				w.platform.Rows(func(rows map[string]*platformtest.Row) {
					if r := rows[string(ws.UID)]; r.GetTitle() != "Acme" || r.GetHost() == "" {
						w.Errorf("registered as %v", r)
					}
				})
				if hosts := w.routes()[0].Spec.Hostnames; len(hosts) != 2 {
					w.Errorf("the route is for %v", hosts)
				}
			},
		},
		"delete": {
			begin: func(w *world) *v1alpha1.NoteWorkspace {
				ws := settled(w, deleting)
				w.must(w.Client.Delete(w.Context(), ws))
				return ws
			},
			end: func(w *world, ws *v1alpha1.NoteWorkspace) {
				if !w.gone(ws) || w.secret("acme-owner") != nil || len(w.routes()) != 0 {
					w.Error("something is left")
				}
				w.platform.Rows(func(rows map[string]*platformtest.Row) {
					if len(rows) != 0 {
						w.Errorf("left in the platform: %v", rows)
					}
				})
			},
		},
		"retain": {
			begin: func(w *world) *v1alpha1.NoteWorkspace {
				ws := settled(w)
				w.must(w.Client.Delete(w.Context(), ws))
				return ws
			},
			end: func(w *world, ws *v1alpha1.NoteWorkspace) {
				if !w.gone(ws) || w.secret("acme-owner") == nil || len(w.routes()) != 0 {
					w.Error("it is not gone, or more than its route and itself")
				}
				w.platform.Rows(func(rows map[string]*platformtest.Row) {
					if r := rows[string(ws.UID)]; r == nil || r.GetReleasedAt() == nil {
						w.Errorf("in the platform it is %v", r)
					}
				})
			},
		},
		"adopt": {
			begin: func(w *world) *v1alpha1.NoteWorkspace {
				ws := settled(w)
				w.must(w.Client.Delete(w.Context(), ws))
				w.reconcile(ws)
				return w.apply("next")
			},
			end: func(w *world, ws *v1alpha1.NoteWorkspace) {
				if w.secret("next-owner") != nil {
					w.Error("a Secret is left that opens nothing")
				}
				w.isWhole(ws, "")
			},
		},
	}
}

// isWhole requires one registration, one route and one Secret, which belong together, and nothing more to do.
func (w *world) isWhole(ws *v1alpha1.NoteWorkspace, id string) {
	w.Helper()
	have := w.get(ws)
	for _, c := range have.Status.Conditions {
		if c.Type == v1alpha1.ConditionRegistered && c.Status != "True" || c.ObservedGeneration != have.Generation {
			w.Errorf("%s is %s of generation %d: %s", c.Type, c.Status, c.ObservedGeneration, c.Message)
		}
	}
	if routes := w.routes(); len(routes) != 1 {
		w.Errorf("there are %d routes", len(routes))
	}
	w.platform.Rows(func(rows map[string]*platformtest.Row) {
		if len(rows) != 1 {
			w.Errorf("%d are registered", len(rows))
		}
		for _, r := range rows {
			if r.GetWorkspaceId() != have.Status.WorkspaceID || id != "" && r.GetWorkspaceId() != id || r.Password != string(w.secret("acme-owner").Data["password"]) {
				w.Errorf("registered is %s, the status tells of %s, or the Secret does not open it", r.GetWorkspaceId(), have.Status.WorkspaceID)
			}
		}
	})
	if made := w.platform.Owners(); made != 1 {
		w.Errorf("%d owners were made", made)
	}
	w.faults.written()
	w.reconcile(ws)
	if written := w.faults.written(); len(written) > 0 {
		w.Errorf("it writes although nothing changed: %v", written)
	}
}

// faultAt lets the nth call fail in some way, and tells whether there was one.
type faultAt struct {
	mu     sync.Mutex
	n      int
	done   bool // the call is made and its answer is lost
	killed bool // it was the last one
	hit    string
}

func (f *faultAt) around(call string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hit != "" {
		if f.killed {
			return errFault
		}
		return do()
	}
	if f.n--; f.n > 0 {
		return do()
	}
	f.hit = call
	if f.done {
		_ = do() // nobody hears of it
	}
	return errFault
}

func TestWhateverFailsAtWhateverCallTheEndIsTheSame(t *testing.T) {
	t.Parallel()
	for name, s := range stories() {
		for fault, kind := range map[string]struct{ done, killed bool }{
			"fails": {}, "succeeds unheard": {done: true}, "is the last of the process": {done: true, killed: true}, "is never made by the process": {killed: true},
		} {
			t.Run(name+", where a call "+fault, func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					f := &faultAt{n: n, done: kind.done, killed: kind.killed}
					if !t.Run(fmt.Sprintf("the %d.", n), func(t *testing.T) { s.with(t, f) }) || f.hit == "" {
						return
					}
				}
			})
		}
	}
}

// with tells the story with a fault in its first look, and looks again, as a new process, until there is nothing to do.
func (s story) with(t *testing.T, f *faultAt) {
	w := startWorld(t, controller.RouteHTTP)
	ws := s.begin(w)
	w.reconciler = w.start(controller.RouteHTTP)
	w.faults.set(f.around)
	_, _ = w.try(w.reconciler, ws)
	w.faults.set(nil)
	w.reconciler = w.start(controller.RouteHTTP)
	w.settle(ws, 3)
	t.Logf("the fault was at %q", f.hit)
	s.end(w, ws)
}

// settle looks at ws until a look is without an error, and once more if it is still on its way.
func (w *world) settle(ws *v1alpha1.NoteWorkspace, looks int) {
	w.Helper()
	var err error
	for range looks {
		if _, err = w.try(w.reconciler, ws); err == nil && (w.gone(ws) || !w.unsettled(ws)) {
			return
		}
	}
	w.Errorf("it does not settle: %v", err)
}

func (w *world) unsettled(ws *v1alpha1.NoteWorkspace) bool {
	have := w.get(ws)
	if have.DeletionTimestamp != nil {
		return true
	}
	for _, c := range have.Status.Conditions {
		if c.Type == v1alpha1.ConditionRegistered {
			return c.Status != "True"
		}
	}
	return true
}

func TestOneInFiveCallsMayFailForAnyReason(t *testing.T) {
	t.Parallel()
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(5) {
				w := startWorld(t, controller.RouteHTTP)
				ws := s.begin(w)
				w.faults.set(flaky(seed))
				w.settle(ws, 60)
				w.faults.set(nil)
				s.end(w, ws)
			}
		})
	}
}

// flaky answers one call in five as a busy API server does, sometimes after having done what it was asked for.
func flaky(seed uint64) func(string, func() error) error {
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable, not secret
	of := schema.GroupResource{Group: "noteworks.dev", Resource: "noteworkspaces"}
	faults := []error{
		apierrors.NewTooManyRequests("busy", 1), apierrors.NewInternalError(errFault), apierrors.NewServerTimeout(of, "patch", 1),
		apierrors.NewConflict(of, "acme", errFault), context.DeadlineExceeded,
	}
	return func(call string, do func() error) error {
		mu.Lock()
		unlucky, late, fault := chance.IntN(5) == 0, chance.IntN(2) == 0, faults[chance.IntN(len(faults))]
		mu.Unlock()
		if !unlucky {
			return do()
		}
		if late && !strings.HasPrefix(call, "get") {
			_ = do() // nobody hears of it
		}
		return fault
	}
}
