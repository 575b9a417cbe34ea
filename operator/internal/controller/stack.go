package controller

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
)

// stack sees to it that there is something to live in.
func (r *Reconciler) stack(ctx context.Context, w *work) error {
	if !w.dedicated() {
		w.stack = w.yes(ReasonSharedStack, "lives in the platform's stack")
		return nil
	}
	if w.taken != "" {
		w.stack = w.no(w.taken, takenBy(w, w.taken))
		return nil
	}
	settled := w.stack.is() && w.stack.generation == w.ws.Generation
	state, err := r.Stacks.Apply(ctx, w.ws)
	if refusal(err) {
		w.stack = w.no(ReasonStackRefused, err.Error())
		return nil
	}
	if err != nil {
		return wrap("stack", err)
	}
	w.stack = w.no(state.Reason, state.Message)
	if state.Ready {
		w.stack = w.yes(state.Reason, state.Message)
	}
	if state.Version != "" {
		w.found.StackVersion = state.Version
	}
	if state.Changed {
		ctx = w.changing(ctx)
		r.Log.InfoContext(ctx, "stack applied", logged(w), slog.String("reason", state.Reason))
	}
	if state.Changed && settled && state.Version == w.ws.Status.StackVersion {
		r.event(w, corev1.EventTypeNormal, EventStackRestored, "Somebody had changed or deleted objects of the stack: they are as they should be again.")
	}
	return nil
}

// refusal reports whether the API server will say the same again until somebody changes something.
func refusal(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || meta.IsNoMatchError(err)
}
