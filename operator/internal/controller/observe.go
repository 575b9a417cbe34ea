package controller

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/registry"
	"noteworks.dev/operator/internal/stack"
)

// work is one look at a workspace: what was there, and what each step found out.
type work struct {
	ws    *v1alpha1.NoteWorkspace // as it was read, but for the finalizer
	began time.Time

	taken                     string // the reason why its host names are another's
	stack, registered, routed verdict
	found                     v1alpha1.NoteWorkspaceStatus // conditions apart

	tracer trace.Tracer
	span   trace.Span
}

// observe reads the workspace; nil if it is gone.
func (r *Reconciler) observe(ctx context.Context, key types.NamespacedName) (*work, error) {
	ws := &v1alpha1.NoteWorkspace{}
	if err := r.Client.Get(ctx, key, ws); err != nil {
		return nil, wrap("observe "+key.String(), client.IgnoreNotFound(err))
	}
	if ws.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(ws, Finalizer) {
		return nil, nil //nolint:nilnil // nothing is left to do
	}
	w := &work{ws: ws, began: r.Now(), tracer: r.Tracer, found: *ws.Status.DeepCopy()}
	w.stack = w.before(v1alpha1.ConditionStackReady)
	w.registered = w.before(v1alpha1.ConditionRegistered)
	w.routed = w.before(v1alpha1.ConditionRouted)
	return w, nil
}

// hold sees to it that the object does not go before its data.
func (r *Reconciler) hold(ctx context.Context, w *work) error {
	if controllerutil.ContainsFinalizer(w.ws, Finalizer) {
		return nil
	}
	held := w.ws.DeepCopy()
	controllerutil.AddFinalizer(held, Finalizer)
	if err := r.Client.Patch(w.changing(ctx), held, lockedTo(w.ws)); err != nil {
		return wrap("add the finalizer", err)
	}
	w.ws = held
	return nil
}

// lockedTo is the difference to from, refused if somebody else has written meanwhile.
func lockedTo(from client.Object) client.Patch {
	return client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{})
}

// changing is ctx for an act that changes something. The first one of w begins its trace, so that looking at what is at rest leaves none.
func (w *work) changing(ctx context.Context) context.Context {
	if w.span == nil {
		_, w.span = w.tracer.Start(ctx, "reconcile NoteWorkspace", trace.WithTimestamp(w.began), trace.WithAttributes( //nolint:spancheck // tell ends it
			attribute.String("k8s.namespace.name", w.ws.Namespace),
			attribute.String("noteworks.workspace.name", w.ws.Name),
			attribute.String("noteworks.workspace.id", w.id())))
	}
	return trace.ContextWithSpan(ctx, w.span)
}

func (w *work) deleted() bool   { return w.ws.DeletionTimestamp != nil }
func (w *work) dedicated() bool { return w.ws.Spec.Isolation == v1alpha1.IsolationDedicated }

// id is what the workspace is asked for by. A dedicated stack's database belongs to one slug of one namespace, and so does the id there: whoever
// has the slug next finds the data, also when there was nobody to release it.
func (w *work) id() string {
	if w.dedicated() {
		return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(stack.Name(w.ws)+"."+w.ws.Namespace+".noteworks.dev")).String()
	}
	return string(w.ws.UID)
}

// at is the user service that has, or will have, the workspace.
func (r *Reconciler) at(w *work) registry.Stack {
	if w.dedicated() {
		return registry.Stack{URL: stack.UserRPC(w.ws), Audience: stack.Audience(w.ws)}
	}
	return r.Config.Platform
}

// verdict is what is known of one step, as a condition says it.
type verdict struct {
	status  metav1.ConditionStatus
	reason  string
	message string
	// generation of spec that it speaks of.
	generation int64
}

func (v verdict) is() bool { return v.status == metav1.ConditionTrue }

func (w *work) yes(reason, message string) verdict {
	return verdict{metav1.ConditionTrue, reason, message, w.ws.Generation}
}

func (w *work) no(reason, message string) verdict {
	return verdict{metav1.ConditionFalse, reason, message, w.ws.Generation}
}

func (w *work) unknown(reason, message string) verdict {
	return verdict{metav1.ConditionUnknown, reason, message, w.ws.Generation}
}

// before is what was known when w began.
func (w *work) before(condition string) verdict {
	c := meta.FindStatusCondition(w.ws.Status.Conditions, condition)
	if c == nil {
		return verdict{}
	}
	return verdict{c.Status, c.Reason, c.Message, c.ObservedGeneration}
}

// since is how long condition has had its status; 0 if it is new.
func (w *work) since(condition string, now time.Time) time.Duration {
	c := meta.FindStatusCondition(w.ws.Status.Conditions, condition)
	if c == nil {
		return 0
	}
	return now.Sub(c.LastTransitionTime.Time)
}
