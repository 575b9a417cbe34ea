package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/controller"
	"noteworks.dev/operator/internal/platformtest"
	"noteworks.dev/operator/internal/stack"
)

func dedicated(ws *v1alpha1.NoteWorkspace) { ws.Spec.Isolation = v1alpha1.IsolationDedicated }
func deleting(ws *v1alpha1.NoteWorkspace)  { ws.Spec.DeletionPolicy = v1alpha1.DeletionDelete }

func TestASharedWorkspaceIsReadyAtTheFirstLook(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme", func(ws *v1alpha1.NoteWorkspace) {
		members, bytes := int32(5), resource.MustParse("5Gi")
		ws.Spec.Limits = v1alpha1.Limits{Members: &members, Bytes: &bytes}
		ws.Spec.Access = v1alpha1.Access{SignUp: v1alpha1.SignUpInvite, EmailDomains: []v1alpha1.EmailDomain{"example.org", "example.com"}}
	})

	w.reconcile(ws)

	w.ready(ws)
	w.condition(ws, v1alpha1.ConditionStackReady, metav1.ConditionTrue, controller.ReasonSharedStack)
	w.condition(ws, v1alpha1.ConditionRegistered, metav1.ConditionTrue, controller.ReasonRegistered)
	w.condition(ws, v1alpha1.ConditionRouted, metav1.ConditionTrue, controller.ReasonRoutedByPlatform)
	have := w.get(ws)
	if want := "https://" + w.slug() + ".notes.example.org"; have.Status.URL != want {
		t.Errorf("url is %s, want %s", have.Status.URL, want)
	}
	if have.Status.WorkspaceID != string(ws.UID) || have.Status.Usage == nil || have.Status.Usage.Members != 1 || have.Status.ObservedGeneration != have.Generation {
		t.Errorf("status is %+v", have.Status)
	}
	secret := w.secret(have.Status.OwnerSecret)
	if secret == nil || len(secret.Data["password"]) < 24 || string(secret.Data["email"]) != owner || string(secret.Data["url"]) != have.Status.URL {
		t.Fatalf("the owner's Secret is %+v", secret)
	}
	w.platform.Rows(func(rows map[string]*platformtest.Row) {
		r := rows[string(ws.UID)]
		if r.Password != string(secret.Data["password"]) || r.Email != owner || r.Administrator != w.namespace {
			t.Errorf("registered as %+v", r)
		}
		p := r.GetPolicy()
		if p.GetSignUp() != workspacev1.SignUp_SIGN_UP_INVITATION || p.GetLimits().GetMembers() != 5 || p.GetLimits().GetBytes() != 5<<30 || len(p.GetEmailDomains()) != 2 {
			t.Errorf("the policy is %v", p)
		}
	})
	if !w.heard(controller.ReasonReady) {
		t.Error("no event tells that it is ready")
	}
	if n := len(w.faults.written()); n > 6+2 { // and the token, and the call
		t.Errorf("%d writes", n)
	}
}

func TestAnOperatorThatStopsHasNotFailedAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	stopping, stop := context.WithCancel(t.Context())
	stop()
	if result, err := w.reconciler.Reconcile(stopping, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ws)}); err != nil || result != (ctrl.Result{}) {
		t.Errorf("%+v, %v", result, err)
	}
	w.reconcile(ws)
	w.ready(ws)
}

func TestWhatIsAtRestIsOnlyLookedAt(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteHTTP)
	ws := w.apply("acme")
	w.reconcile(ws)
	w.acceptRoutes(metav1.ConditionTrue, "Accepted", "")
	w.reconcile(ws)
	w.ready(ws)
	trace := w.get(ws).Status.LastTraceID
	w.faults.written()
	w.platform.Calls()

	for range 3 {
		w.reconcile(ws)
	}
	w.reconciler = w.start(controller.RouteHTTP)
	again := w.reconcile(ws).RequeueAfter

	if written := w.faults.written(); !slices.Equal(written, []string{"create token"}) { // of the operator that has just started
		t.Errorf("written at rest: %v", written)
	}
	if calls := w.platform.Calls(); slices.Contains(calls, "ApplyWorkspace") {
		t.Errorf("called at rest: %v", calls)
	}
	if again < 50*time.Second || again > 70*time.Second {
		t.Errorf("looks again after %s", again)
	}
	if now := w.get(ws).Status.LastTraceID; now != trace {
		t.Errorf("the trace of a look that changed nothing is told: %s, was %s", now, trace)
	}
}

func TestTheTraceGoesFromTheReconcileThroughTheCallAndStandsInTheStatus(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	w.reconcile(ws)
	spans, told := w.spans.names(), w.get(ws).Status.LastTraceID
	sent := w.platform.Traceparent()
	if told == "" || spans["reconcile NoteWorkspace"] != told || spans["workspace.v1.WorkspaceService/ApplyWorkspace"] != told || !strings.Contains(sent, told) {
		t.Errorf("status tells of %q, spans are %v, sent was %q", told, spans, sent)
	}
}

func TestWhatCannotBeSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		prepare func(*world)
		change  func(*v1alpha1.NoteWorkspace)
		reason  string
		says    string
	}{
		"the platform is away": {
			prepare: func(w *world) { w.platform.Down.Store(true) },
			reason:  controller.ReasonPlatformUnavailable, says: "does not answer",
		},
		"the platform is not installed": {
			prepare: func(w *world) { w.reconciler.Config.Platform.URL = "http://noteworks-user.nowhere.invalid:8082" },
			reason:  controller.ReasonPlatformNotFound, says: "is the platform installed",
		},
		"the operator is not known": {
			prepare: func(w *world) { w.reconciler.Config.Platform.Audience = "somebody-else" },
			reason:  controller.ReasonNotPermitted, says: "user.rpc.callers.operator",
		},
		"the operator's account is gone": {
			prepare: func(w *world) {
				w.must(w.Client.Delete(w.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.releasedIn, Name: "operator"}}))
			},
			reason: controller.ReasonNotPermitted, says: "no token of ServiceAccount",
		},
		"the service fails": {
			prepare: func(w *world) {
				w.platform.Refuses.Store(platformtest.Refusal(connect.CodeInternal, "internal", "", "internal error"))
			},
			reason: controller.ReasonPlatformFailed, says: "log",
		},
		"a field is refused": {
			change: func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Title = "refused" },
			reason: controller.ReasonInvalidSpec, says: "spec.title",
		},
		"the Secret of the owner is somebody else's": {
			prepare: func(w *world) {
				w.must(w.Client.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "acme-owner"}}))
			},
			reason: controller.ReasonOwnerSecretTaken, says: "acme-owner",
		},
		"the slug is another's": {
			prepare: func(w *world) { w.reconcile(w.apply("first")) },
			reason:  controller.ReasonSlugTaken, says: "another spec.slug",
		},
		"the host is another's": {
			prepare: func(w *world) {
				w.reconcile(w.apply("first", func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Slug += "-1"; ws.Spec.Host = w.slug() + ".example.net" }))
			},
			change: func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Host = ws.Spec.Slug + ".example.net" },
			reason: controller.ReasonHostTaken, says: "spec.host",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, controller.RouteHTTP)
			if c.prepare != nil {
				c.prepare(w)
			}
			ws := w.apply("acme", func(ws *v1alpha1.NoteWorkspace) {
				if c.change != nil {
					c.change(ws)
				}
			})

			again := w.reconcile(ws).RequeueAfter

			got := w.notReady(ws, c.reason)
			w.condition(ws, v1alpha1.ConditionRegistered, metav1.ConditionFalse, c.reason)
			w.condition(ws, v1alpha1.ConditionRouted, metav1.ConditionFalse, controller.ReasonWaitingForRegistration)
			if !strings.Contains(got.Message, c.says) {
				t.Errorf("it says %q", got.Message)
			}
			if again == 0 || again > 2*time.Second {
				t.Errorf("tries again after %s", again)
			}
			if !w.heard(c.reason) {
				t.Error("no event")
			}
			w.faults.written()
			w.reconcile(ws)
			for _, call := range w.faults.written() {
				if strings.HasPrefix(call, "patch") || strings.HasPrefix(call, "apply") {
					t.Errorf("nothing changed, and it writes: %s", call)
				}
			}
		})
	}
}

func TestAWorkspaceThatWasReadyIsNotKnownToBeWhileThePlatformIsAway(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	w.reconcile(ws)
	w.platform.Down.Store(true)
	for range 2 {
		w.reconcile(ws)
		w.condition(ws, v1alpha1.ConditionReady, metav1.ConditionUnknown, controller.ReasonPlatformUnavailable)
	}
	w.platform.Down.Store(false)
	w.reconcile(ws)
	w.ready(ws)
}

func TestWhatTheUserServiceLostIsRegisteredAgainWithTheSamePassword(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	w.reconcile(ws)
	password := string(w.secret("acme-owner").Data["password"])
	w.platform.Rows(func(rows map[string]*platformtest.Row) { clear(rows) })

	w.reconcile(ws)

	w.ready(ws)
	if !w.heard(controller.EventRegisteredAgain) {
		t.Error("no event")
	}
	w.platform.Rows(func(rows map[string]*platformtest.Row) {
		if len(rows) != 1 || rows[string(ws.UID)].Password != password {
			t.Errorf("registered are %v", rows)
		}
	})
}

func TestAChangeOfSpecReachesTheUserServiceAndNeverTheSpec(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	w.reconcile(ws)
	w.change(ws, func(ws *v1alpha1.NoteWorkspace) {
		ws.Spec.Title, ws.Spec.Suspended = "Acme", true
		ws.Spec.Owner.Email = "bob@example.org" // of no effect: the workspace has an owner
	})
	wrote := w.get(ws)

	w.reconcile(ws)

	w.notReady(ws, controller.ReasonSuspended)
	w.condition(ws, v1alpha1.ConditionRegistered, metav1.ConditionTrue, controller.ReasonRegistered)
	w.platform.Rows(func(rows map[string]*platformtest.Row) {
		if r := rows[string(ws.UID)]; r.GetTitle() != "Acme" || !r.GetPolicy().GetSuspended() || r.Email != owner {
			t.Errorf("registered as %v", r)
		}
	})
	if have := w.get(ws); have.Generation != wrote.Generation {
		t.Errorf("spec was written: generation %d, was %d", have.Generation, wrote.Generation)
	}

	w.change(ws, func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Suspended = false })
	w.reconcile(ws)
	w.ready(ws)
}

func TestARouteIsMadeReadBackAndRestored(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteHTTP)
	ws := w.apply("acme", func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Host = w.slug() + ".example.net" })
	w.reconcile(ws)
	w.condition(ws, v1alpha1.ConditionRouted, metav1.ConditionUnknown, controller.ReasonRoutePending)

	w.acceptRoutes(metav1.ConditionFalse, "NotAllowedByListeners", "no listener is called that")
	w.reconcile(ws)
	if got := w.notReady(ws, controller.ReasonRouteNotAccepted); !strings.Contains(got.Message, "no listener is called that") {
		t.Errorf("it says %q", got.Message)
	}

	w.acceptRoutes(metav1.ConditionTrue, "Accepted", "")
	w.reconcile(ws)
	w.ready(ws)
	made := w.routes()
	if len(made) != 1 || len(made[0].Spec.Hostnames) != 2 || len(made[0].OwnerReferences) != 0 || string(*made[0].Spec.Rules[0].Timeouts.Request) != "0s" {
		t.Fatalf("the routes are %+v", made)
	}

	spoilt := made[0].DeepCopy()
	spoilt.Spec.Hostnames = []gatewayv1.Hostname{"elsewhere.example.org"}
	w.must(w.Client.Update(t.Context(), spoilt))
	w.reconcile(ws)
	if again := w.routes(); !slices.Equal(again[0].Spec.Hostnames, made[0].Spec.Hostnames) {
		t.Errorf("hostnames are %v", again[0].Spec.Hostnames)
	}
	if !w.heard(controller.EventRouteRestored) {
		t.Error("no event tells of the repair")
	}
	w.must(w.Client.Delete(t.Context(), &made[0]))
	w.reconcile(ws)
	if len(w.routes()) != 1 {
		t.Error("a deleted route is not made again")
	}
}

func TestAnIngressLeadsToTheWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteIngress)
	ws := w.apply("acme")
	w.reconcile(ws)
	w.ready(ws)
	w.condition(ws, v1alpha1.ConditionRouted, metav1.ConditionTrue, controller.ReasonRouteApplied)
	w.faults.written()
	w.reconcile(ws)
	if written := w.faults.written(); len(written) > 0 {
		t.Errorf("written at rest: %v", written)
	}
}

func TestADedicatedWorkspaceWaitsForItsStack(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	w.stacks.set(stack.State{Reason: stack.Progressing, Message: "waits for Deployment user", Changed: true})
	ws := w.apply("acme", dedicated)
	w.reconcile(ws)
	w.notReady(ws, stack.Progressing)
	w.condition(ws, v1alpha1.ConditionRegistered, metav1.ConditionFalse, controller.ReasonWaitingForStack)
	if calls := w.platform.Calls(); len(calls) > 0 {
		t.Errorf("the platform's user service is asked for a dedicated workspace: %v", calls)
	}

	w.stacks.set(stack.State{Ready: true, Reason: stack.Ready, Version: "1"})
	w.reconcile(ws) // its user service is not there: the name leads nowhere
	w.notReady(ws, controller.ReasonPlatformNotFound)
	if v := w.get(ws).Status.StackVersion; v != "1" {
		t.Errorf("the stack's version is %q", v)
	}
}

func TestOfASharedAndADedicatedWorkspaceOfOneSlugOneHasIt(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	first := w.apply("first")
	w.reconcile(first)
	second := w.apply("second", dedicated)
	third := w.apply("third", dedicated, func(ws *v1alpha1.NoteWorkspace) { ws.Spec.Slug += "-3"; ws.Spec.Host = w.slug() + ".notes.example.org" })
	w.reconcile(second)
	w.notReady(second, controller.ReasonSlugTaken)
	w.reconcile(third)
	w.notReady(third, controller.ReasonHostTaken)
	if w.stacks.applied > 0 {
		t.Error("a stack is made for whom it is of no use to")
	}
	w.reconcile(first)
	w.ready(first)
}

func TestDeletionPolicyDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteHTTP)
	ws := w.apply("acme", deleting)
	w.reconcile(ws)
	if ws := w.get(ws); !slices.Contains(ws.Finalizers, controller.Finalizer) {
		t.Fatal("nothing holds the object until its data is gone")
	}
	w.must(w.Client.Delete(t.Context(), ws))
	w.reconcile(ws)
	if !w.gone(ws) {
		t.Error("the object is still there")
	}
	if w.secret("acme-owner") != nil || len(w.routes()) != 0 {
		t.Error("something is left of it")
	}
	w.platform.Rows(func(rows map[string]*platformtest.Row) {
		if len(rows) != 0 {
			t.Errorf("left in the platform: %v", rows)
		}
	})
	if !w.heard(controller.EventDataDeleted) {
		t.Error("no event tells of it")
	}
}

func TestWhatIsRetainedIsAdoptedByTheNextOfTheSameSlug(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"acme", "another"} {
		t.Run("called "+name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, controller.RouteNone)
			ws := w.apply("acme")
			w.reconcile(ws)
			password := w.secret("acme-owner").Data["password"]
			w.must(w.Client.Delete(t.Context(), ws))
			w.reconcile(ws)
			if !w.gone(ws) || !w.heard(controller.EventDataKept) {
				t.Fatal("it is not gone, or nobody hears how to get it back")
			}

			next := w.apply(name)
			w.reconcile(next)

			w.ready(next)
			have := w.get(next)
			if have.Status.WorkspaceID != string(ws.UID) || !w.heard(controller.EventAdopted) {
				t.Errorf("it is %s, not what was kept", have.Status.WorkspaceID)
			}
			if got := w.secret("acme-owner"); string(got.Data["password"]) != string(password) {
				t.Error("the Secret that opens it has changed")
			}
			if name != "acme" && (w.secret(name+"-owner") != nil || have.Status.OwnerSecret != "") {
				t.Error("there is a Secret that opens nothing")
			}
			if name == "acme" && have.Status.OwnerSecret != "acme-owner" {
				t.Errorf("the status tells of the Secret %q", have.Status.OwnerSecret)
			}
			w.faults.written()
			w.reconcile(next)
			if written := w.faults.written(); len(written) > 0 {
				t.Errorf("written at rest: %v", written)
			}
		})
	}
}

func TestADeletionThatIsHeldUpSaysByWhatAndEndsInTime(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	w.reconcile(ws)
	w.must(w.Client.Delete(t.Context(), ws))
	w.platform.Down.Store(true)

	began := time.Now()
	w.reconcile(ws)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if got := w.notReady(ws, controller.ReasonDeletionBlocked); !strings.Contains(got.Message, "does not answer") {
		t.Errorf("it says %q", got.Message)
	}
	if !w.heard(controller.ReasonDeletionBlocked) {
		t.Error("no event")
	}

	w.ahead.Store(int64(11 * time.Minute))
	w.reconcile(ws)
	if !w.gone(ws) || !w.heard(controller.EventLeftBehind) {
		t.Error("it is held longer than its time box, or nobody hears what is left")
	}
}

func TestDataThatIsToGoIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme", deleting)
	w.reconcile(ws)
	w.must(w.Client.Delete(t.Context(), ws))
	w.platform.Down.Store(true)
	w.ahead.Store(int64(time.Hour))
	again := w.reconcile(ws).RequeueAfter
	if got := w.notReady(ws, controller.ReasonDeletionBlocked); !strings.Contains(got.Message, "deletionPolicy to Retain") {
		t.Errorf("it says %q", got.Message)
	}
	if again < 20*time.Second {
		t.Errorf("after an hour it still tries again after %s", again)
	}

	// The namespace goes: it is not held up.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.must(w.Client.Delete(t.Context(), namespace))
	w.reconcile(ws)
	if !w.gone(ws) || !w.heard(controller.EventLeftBehind) {
		t.Error("it holds its namespace up")
	}
}

func TestAnUninstalledPlatformHoldsNothingUpForEver(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme", deleting)
	w.reconcile(ws)
	w.reconciler.Config.Platform.URL = "http://noteworks-user.nowhere.invalid:8082"
	w.must(w.Client.Delete(t.Context(), ws))
	w.reconcile(ws)
	if got := w.notReady(ws, controller.ReasonDeletionBlocked); !strings.Contains(got.Message, "is the platform installed") {
		t.Errorf("it says %q", got.Message)
	}
	w.change(ws, func(ws *v1alpha1.NoteWorkspace) { ws.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.ahead.Store(int64(11 * time.Minute))
	w.reconcile(ws)
	if !w.gone(ws) {
		t.Error("it is still there")
	}
}

func TestADedicatedStackGoesWithOrWithoutItsVolumes(t *testing.T) {
	t.Parallel()
	for policy, keep := range map[v1alpha1.DeletionPolicy]bool{v1alpha1.DeletionRetain: true, v1alpha1.DeletionDelete: false} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, controller.RouteNone)
			ws := w.apply("acme", dedicated, func(ws *v1alpha1.NoteWorkspace) { ws.Spec.DeletionPolicy = policy })
			w.stacks.set(stack.State{Reason: stack.Progressing, Message: "coming"})
			w.reconcile(ws)
			w.must(w.Client.Delete(t.Context(), ws))
			w.stacks.removal = stack.State{Reason: stack.Removing, Message: "waits for Pod acme-nw-postgres-0"}
			w.reconcile(ws)
			if got := w.notReady(ws, controller.ReasonDeleting); !strings.Contains(got.Message, "postgres-0") {
				t.Errorf("it says %q", got.Message)
			}
			w.ahead.Store(int64(time.Minute))
			w.reconcile(ws)
			w.notReady(ws, controller.ReasonDeletionBlocked)
			w.stacks.removal = stack.State{Gone: true}
			w.reconcile(ws)
			if !w.gone(ws) || w.stacks.kept[0] != keep {
				t.Errorf("gone: %t, with its data kept: %v", w.gone(ws), w.stacks.kept)
			}
		})
	}
}

func TestAForgedStatusIsPutRight(t *testing.T) {
	t.Parallel()
	w := startWorld(t, controller.RouteNone)
	ws := w.apply("acme")
	w.reconcile(ws)
	forged := w.get(ws)
	before := forged.DeepCopy()
	forged.Status.URL = "https://evil.example.org"
	forged.Status.Conditions = nil
	w.must(w.Client.Status().Patch(t.Context(), forged, client.MergeFrom(before)))
	w.reconcile(ws)
	w.ready(ws)
	if got := w.get(ws).Status; got.URL != before.Status.URL || got.OwnerSecret != "acme-owner" {
		t.Errorf("the status is %+v", got)
	}
}
