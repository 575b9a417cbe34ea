package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

// prune deletes what was applied once and is no longer rendered, but for what is kept, and forgets what is gone.
func (e *Engine) prune(ctx context.Context, ws *v1alpha1.NoteWorkspace, p *parent, objects []*unstructured.Unstructured) (bool, error) {
	rendered := map[string]bool{}
	for _, o := range objects {
		rendered[refOf(o).id()] = true
	}
	old := slices.DeleteFunc(slices.Clone(p.objects), func(r ref) bool { return rendered[r.id()] || r.kept })
	if len(old) == 0 {
		return false, nil
	}
	left, err := e.deleteAll(ctx, ws, old)
	if err != nil {
		return true, err
	}
	// What is only on its way out is asked for again, so that it is not forgotten before it is gone.
	p.objects = slices.DeleteFunc(p.objects, func(r ref) bool { return slices.Contains(old, r) && left[r] == nil })
	_, err = e.save(ctx, ws, p)
	return true, err
}

// deleteAll deletes those of the objects that are there and of the stack, and returns which were still there, with pods, if they have any,
// left to the garbage collector.
func (e *Engine) deleteAll(ctx context.Context, ws *v1alpha1.NoteWorkspace, objects []ref) (map[ref]*unstructured.Unstructured, error) {
	secrets, left := e.secrets(ws), map[ref]*unstructured.Unstructured{}
	for _, r := range objects {
		o, err := e.live(ctx, r, ws.Namespace, secrets)
		if err != nil {
			return nil, err
		}
		if o == nil || o.GetLabels()[Label] != Name(ws) {
			continue
		}
		if left[r], err = e.delete(ctx, o); err != nil {
			return nil, err
		}
	}
	maps.DeleteFunc(left, func(_ ref, o *unstructured.Unstructured) bool { return o == nil })
	return left, nil
}

// delete deletes an object, and returns nil once nothing holds it.
func (e *Engine) delete(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if o.GetDeletionTimestamp() != nil {
		return o, nil
	}
	uid := o.GetUID()
	err := e.client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("delete %s: %w", called(o), err)
	}
	if len(o.GetFinalizers()) > 0 {
		return o, nil
	}
	return nil, nil //nolint:nilnil // it is gone, which is no error
}

// Remove takes the stack of ws away: with keepData all but its volumes and passwords, which the next NoteWorkspace of that slug in that
// namespace takes up again. It never waits: call it again until State.Gone; before that, the Message says what it is held up by.
func (e *Engine) Remove(ctx context.Context, ws *v1alpha1.NoteWorkspace, keepData bool) (State, error) {
	p, err := e.parent(ctx, ws)
	if err != nil {
		return State{}, err
	}
	if p.configMap == nil || p.ownerUID != ws.UID {
		return State{Reason: Removed, Message: "there is no stack of this workspace", Gone: true}, nil
	}
	goes, keeps := p.objects, []ref(nil)
	if keepData {
		goes = slices.DeleteFunc(slices.Clone(p.objects), func(r ref) bool { return r.kept })
		keeps = slices.DeleteFunc(slices.Clone(p.objects), func(r ref) bool { return !r.kept })
	}
	left, err := e.deleteAll(ctx, ws, goes)
	if err != nil {
		return State{Changed: true}, err
	}
	blockers, claims, err := e.leftovers(ctx, ws, left, keepData)
	if err != nil {
		return State{Changed: true}, err
	}
	if len(blockers) > 0 {
		return State{Reason: Removing, Message: "waits for " + strings.Join(blockers, ", ")}, nil
	}
	e.forget(ws)
	if !keepData {
		if err := e.client.Delete(ctx, p.configMap); client.IgnoreNotFound(err) != nil {
			return State{Changed: true}, fmt.Errorf("delete ConfigMap %s: %w", p.configMap.Name, err)
		}
		return State{Reason: Removed, Message: "the stack and its data are deleted", Changed: true, Gone: true}, nil
	}
	return e.retain(ctx, ws, p, keeps, claims)
}

// leftovers returns what holds the removal up, in words, and the volume claims that stay.
func (e *Engine) leftovers(ctx context.Context, ws *v1alpha1.NoteWorkspace, left map[ref]*unstructured.Unstructured, keepData bool) (blockers []string, claims []string, err error) {
	for _, o := range left {
		blockers = append(blockers, called(o)+held(o.GetFinalizers()))
	}
	var pods corev1.PodList
	var volumes corev1.PersistentVolumeClaimList
	for _, list := range []client.ObjectList{&pods, &volumes} {
		if err := e.client.List(ctx, list, client.InNamespace(ws.Namespace), client.MatchingLabels{Label: Name(ws)}); err != nil {
			return nil, nil, fmt.Errorf("list %T: %w", list, err)
		}
	}
	if !keepData {
		for i := range volumes.Items {
			v := &volumes.Items[i]
			if v.DeletionTimestamp == nil {
				if err := e.client.Delete(ctx, v); client.IgnoreNotFound(err) != nil {
					return nil, nil, fmt.Errorf("delete PersistentVolumeClaim %s: %w", v.Name, err)
				}
			}
			blockers = append(blockers, "PersistentVolumeClaim "+v.Name+held(v.Finalizers))
		}
	}
	for i := range volumes.Items {
		claims = append(claims, volumes.Items[i].Name)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; !keepData || !keptPod(p) {
			blockers = append(blockers, "pod "+p.Name+" to stop"+held(p.Finalizers))
		}
	}
	slices.Sort(blockers)
	return blockers, claims, nil
}

// keptPod says whether a pod is of a database cluster that is kept, and stops when that hibernates.
func keptPod(p *corev1.Pod) bool { return p.Labels["cnpg.io/cluster"] != "" }

// retain remembers what stays, for the next workspace of this slug.
func (e *Engine) retain(ctx context.Context, ws *v1alpha1.NoteWorkspace, p parent, keeps []ref, claims []string) (State, error) {
	names := slices.Clone(claims)
	for _, r := range keeps {
		names = append(names, r.name)
		if r.gvk().GroupKind() == cloudNativePG {
			if err := e.hibernate(ctx, ws, r); err != nil {
				return State{Changed: true}, err
			}
		}
	}
	slices.Sort(names)
	p.objects, p.owner, p.ownerUID, p.suspended = keeps, "", "", false
	if _, err := e.save(ctx, ws, &p); err != nil {
		return State{Changed: true}, err
	}
	return State{Reason: Removed, Changed: true, Gone: true, Message: fmt.Sprintf(
		"volumes and passwords are kept (%s): apply a NoteWorkspace with the slug %s in namespace %s to have them back",
		strings.Join(names, ", "), ws.SlugOrName(), ws.Namespace)}, nil
}

// hibernate stops the pods of a database cluster that stays. The next rendering wakes it up.
func (e *Engine) hibernate(ctx context.Context, ws *v1alpha1.NoteWorkspace, r ref) error {
	cluster := &unstructured.Unstructured{}
	cluster.SetGroupVersionKind(r.gvk())
	cluster.SetNamespace(ws.Namespace)
	cluster.SetName(r.name)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"on",%q:null}}}`, hibernation, renderedAnnotation)
	if err := e.client.Patch(ctx, cluster, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(FieldOwner)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("hibernate %s: %w", called(cluster), err)
	}
	return nil
}

// forget lets go of what was rendered for a stack that is no more.
func (e *Engine) forget(ws *v1alpha1.NoteWorkspace) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.rendered, client.ObjectKeyFromObject(ws))
}
