package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/registry"
)

// blocked is what a deletion waits for, and what may be left behind if it does not wait any longer.
type blocked struct {
	reason string
	by     string
	left   string
}

func (b *blocked) Error() string { return b.by }

// remove lets go of what lives outside of the object, and then of the object.
func (r *Reconciler) remove(ctx context.Context, w *work) (ctrl.Result, error) {
	err := r.letGo(ctx, w)
	var held *blocked
	if errors.As(err, &held) {
		return r.heldUp(ctx, w, held)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if w.ws.Spec.DeletionPolicy == v1alpha1.DeletionDelete {
		r.event(w, corev1.EventTypeNormal, EventDataDeleted, "The workspace is gone with all its data."+r.external(w))
	} else {
		r.event(w, corev1.EventTypeNormal, EventDataKept, fmt.Sprintf(
			"The data is kept: apply a NoteWorkspace with the slug %s in namespace %s to take it up again.", w.ws.SlugOrName(), w.ws.Namespace))
	}
	return ctrl.Result{}, r.unhold(ctx, w)
}

// letGo takes people's way in first. A *blocked says what it waits for.
func (r *Reconciler) letGo(ctx context.Context, w *work) error {
	if err := r.removeRoute(ctx, w); err != nil {
		return err
	}
	forGood := w.ws.Spec.DeletionPolicy == v1alpha1.DeletionDelete
	var err error
	if w.dedicated() {
		err = r.letStackGo(ctx, w, forGood)
	} else {
		err = r.letRowsGo(ctx, w, forGood)
	}
	if err != nil || !forGood {
		return err
	}
	secret, err := r.ownerSecret(ctx, w)
	if err != nil || secret == nil || !ours(w, secret) {
		return err
	}
	return r.deleteSecret(w.changing(ctx), secret)
}

// letRowsGo has the platform's user service keep or delete what the workspace holds.
func (r *Reconciler) letRowsGo(ctx context.Context, w *work, forGood bool) error {
	do, verb := r.Registry.Release, "release"
	if forGood {
		do, verb = r.Registry.Delete, "delete"
	}
	err := do(w.changing(ctx), r.at(w), w.id())
	var f *registry.Failure
	if !errors.As(err, &f) {
		return wrap(verb, err)
	}
	if err := r.unregistered(w, err); err != nil {
		return err
	}
	return &blocked{
		reason: ReasonDeletionBlocked,
		by:     w.registered.message,
		left: fmt.Sprintf("the workspace %s in the platform's databases, with its people and notes: "+
			"apply a NoteWorkspace with the slug %s in a namespace called %s to take it up again, or to delete it with deletionPolicy: Delete", w.id(), w.ws.SlugOrName(), w.ws.Namespace),
	}
}

// letStackGo takes the stack away, with or without its volumes. Nobody has to release what is in it: its id is the slug's own (work.id).
func (r *Reconciler) letStackGo(ctx context.Context, w *work, forGood bool) error {
	state, err := r.Stacks.Remove(ctx, w.ws, !forGood)
	held := &blocked{reason: ReasonDeleting, by: state.Message, left: fmt.Sprintf(
		"objects of the stack in namespace %s: kubectl get all,pvc,configmap,secret -n %s", w.ws.Namespace, w.ws.Namespace)}
	if refusal(err) {
		held.reason, held.by = ReasonDeletionBlocked, err.Error()
		return held
	}
	if err != nil {
		return wrap("remove the stack", err)
	}
	if state.Changed {
		ctx = w.changing(ctx)
		r.Log.InfoContext(ctx, "stack taken away", logged(w), slog.Bool("volumes", forGood))
	}
	if state.Gone {
		return nil
	}
	if !state.Changed && r.deleting(w) >= lookAfter {
		held.reason = ReasonDeletionBlocked // what takes that long is no longer just on its way
	}
	w.stack = w.no(state.Reason, state.Message)
	return held
}

// external tells what is somebody else's to delete.
func (r *Reconciler) external(w *work) string {
	d := w.ws.Spec.Dedicated
	if d == nil || d.Postgres == nil && d.NATS == nil {
		return ""
	}
	return " What is in your own PostgreSQL or NATS is yours to delete."
}

// heldUp says by what, and waits; or not, where it would hold up more than the data's end.
func (r *Reconciler) heldUp(ctx context.Context, w *work, held *blocked) (ctrl.Result, error) {
	ending, err := r.namespaceEnds(ctx, w)
	if err != nil {
		return ctrl.Result{}, err
	}
	patient := w.ws.Spec.DeletionPolicy == v1alpha1.DeletionDelete && !ending
	if !patient && r.deleting(w) >= r.Config.DeletionTimeout {
		r.event(w, corev1.EventTypeWarning, EventLeftBehind, fmt.Sprintf("Gave up after %s, because %s. Left behind: %s.", r.Config.DeletionTimeout, held.by, held.left))
		r.Log.WarnContext(ctx, "deletion given up", logged(w), slog.String("because", held.by), slog.String("left", held.left))
		return ctrl.Result{}, r.unhold(ctx, w)
	}
	message := held.by
	if held.reason == ReasonDeletionBlocked {
		message = "the deletion waits: " + held.by
		if patient {
			message += "; to keep the data and let the object go, set spec.deletionPolicy to Retain"
		}
	}
	pause := jitter(growing(r.deleting(w), lookAfter))
	return ctrl.Result{RequeueAfter: pause}, r.writeStatus(ctx, w, w.no(held.reason, message))
}

// namespaceEnds reports whether the object goes because its namespace does.
func (r *Reconciler) namespaceEnds(ctx context.Context, w *work) (bool, error) {
	if w.ws.Spec.DeletionPolicy != v1alpha1.DeletionDelete || r.deleting(w) < r.Config.DeletionTimeout {
		return false, nil // it makes no difference
	}
	var namespace corev1.Namespace
	err := r.Client.Get(ctx, client.ObjectKey{Name: w.ws.Namespace}, &namespace, byName)
	return namespace.DeletionTimestamp != nil, wrap("read the namespace", err)
}

func (r *Reconciler) deleting(w *work) time.Duration { return r.Now().Sub(w.ws.DeletionTimestamp.Time) }

// unhold lets the object go.
func (r *Reconciler) unhold(ctx context.Context, w *work) error {
	free := w.ws.DeepCopy()
	controllerutil.RemoveFinalizer(free, Finalizer)
	err := r.Client.Patch(w.changing(ctx), free, lockedTo(w.ws))
	return wrap("remove the finalizer", client.IgnoreNotFound(err))
}
