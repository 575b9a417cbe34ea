package controller

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/stack"
)

// ready is the one place that decides whether people can come in: the first step that says no has the word.
func (w *work) ready() verdict {
	if w.ws.Spec.Suspended && !w.dedicated() && w.registered.is() {
		return w.no(ReasonSuspended, "nobody comes in and nothing is lost; set spec.suspended to false to resume")
	}
	for _, v := range []verdict{w.stack, w.registered, w.routed} {
		if !v.is() {
			v.generation = w.ws.Generation
			return v
		}
	}
	return w.yes(ReasonReady, "people can come in at "+w.found.URL)
}

// status writes what was found out, if it is not what stands there already.
func (r *Reconciler) status(ctx context.Context, w *work) error {
	w.found.URL = r.url(w)
	return r.writeStatus(ctx, w, w.ready())
}

// writeStatus writes w's conditions, with ready as Ready.
func (r *Reconciler) writeStatus(ctx context.Context, w *work, ready verdict) error {
	next := w.ws.DeepCopy()
	next.Status = w.found
	next.Status.ObservedGeneration = w.ws.Generation
	next.Status.Conditions = nil
	for _, c := range []struct {
		name string
		verdict
	}{
		{v1alpha1.ConditionReady, ready},
		{v1alpha1.ConditionStackReady, w.stack},
		{v1alpha1.ConditionRegistered, w.registered},
		{v1alpha1.ConditionRouted, w.routed},
	} {
		r.set(w, &next.Status.Conditions, c.name, c.verdict)
	}
	same := equality.Semantic.DeepEqual(w.ws.Status, next.Status)
	if w.span != nil {
		ctx = w.changing(ctx)
		// What was refused again, as before, is no news.
		if w.span.SpanContext().IsSampled() && (!same || w.registered.is()) {
			next.Status.LastTraceID = w.span.SpanContext().TraceID().String()
			same = false
		}
	}
	if same {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, next, lockedTo(w.ws)); err != nil {
		return wrap("write the status", err)
	}
	r.announce(ctx, w, ready)
	return nil
}

// set appends the condition called name, with the time of the last transition that is on record.
func (r *Reconciler) set(w *work, to *[]metav1.Condition, name string, v verdict) {
	if v.status == "" {
		v = w.unknown(ReasonDeleting, "never looked at before the deletion")
	}
	c := metav1.Condition{
		Type: name, Status: v.status, Reason: v.reason, Message: v.message, ObservedGeneration: v.generation,
		LastTransitionTime: metav1.NewTime(r.Now()).Rfc3339Copy(),
	}
	if old := meta.FindStatusCondition(w.ws.Status.Conditions, name); old != nil && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	*to = append(*to, c)
}

// announce tells of a readiness that has changed.
func (r *Reconciler) announce(ctx context.Context, w *work, now verdict) {
	was := w.before(v1alpha1.ConditionReady)
	if was.status == now.status && was.reason == now.reason {
		return
	}
	kind := corev1.EventTypeWarning
	switch now.reason {
	case ReasonReady, ReasonSuspended, ReasonDeleting, ReasonWaitingForStack, ReasonRoutePending,
		stack.Progressing, stack.Suspending, stack.Upgrading, stack.UpgradeQueued:
		kind = corev1.EventTypeNormal // on its way
	}
	r.event(w, kind, now.reason, now.message)
	r.Log.InfoContext(ctx, "workspace is "+now.reason, logged(w), slog.String("message", now.message))
}

// event records what people should notice. The API server takes notes of 1 kB.
func (r *Reconciler) event(w *work, kind, reason, message string) {
	const longest = 1000
	if len(message) > longest {
		message = message[:longest] + "…"
	}
	r.Events.Eventf(w.ws, nil, kind, reason, "Reconcile", "%s", message)
}

func logged(w *work) slog.Attr {
	return slog.Group("workspace", slog.String("namespace", w.ws.Namespace), slog.String("name", w.ws.Name))
}
