package controller

import (
	"cmp"
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

// claim finds out whether the workspace may have its host names. Among shared workspaces the user service decides; a dedicated stack has one of its own, which
// knows nobody else, and so what comes near one is decided here, before a stack is made.
func (r *Reconciler) claim(ctx context.Context, w *work) error {
	var all v1alpha1.NoteWorkspaceList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return wrap("list workspaces", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if other.UID == w.ws.UID || !w.dedicated() && other.Spec.Isolation != v1alpha1.IsolationDedicated {
			continue
		}
		if reason := r.collision(w.ws, other); reason != "" && precedes(other, w.ws) {
			w.taken = reason
			return nil
		}
	}
	return nil
}

// collision is the reason why the two cannot both have their host names, or empty.
func (r *Reconciler) collision(mine, other *v1alpha1.NoteWorkspace) string {
	spelled, _ := strings.CutSuffix(other.Spec.Host, "."+r.Config.BaseDomain)
	if other.SlugOrName() == mine.SlugOrName() || spelled == mine.SlugOrName() {
		return ReasonSlugTaken
	}
	if mine.Spec.Host == "" {
		return ""
	}
	spelled, _ = strings.CutSuffix(mine.Spec.Host, "."+r.Config.BaseDomain)
	if mine.Spec.Host == other.Spec.Host || spelled == other.SlugOrName() {
		return ReasonHostTaken
	}
	return ""
}

// precedes: who is registered, then who is older, then by name, so that all who look agree.
func precedes(a, b *v1alpha1.NoteWorkspace) bool {
	registered := func(ws *v1alpha1.NoteWorkspace) int {
		if meta.IsStatusConditionTrue(ws.Status.Conditions, v1alpha1.ConditionRegistered) {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(registered(a), registered(b)),
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name)) < 0
}
