package stack

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// grow makes the volumes of a StatefulSet larger, which the StatefulSet itself lets nobody do: the claims grow one by one, and it is made
// anew around its pods, which run on. Whatever else cannot be changed is refused. No claim is ever deleted.
func (e *Engine) grow(ctx context.Context, want, have *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	size, was := claimed(want), claimed(have)
	if size.Cmp(was) <= 0 {
		return nil, invalidError{fmt.Sprintf("%s cannot be changed so: volumes of %s can only grow, and their storage class stays; put spec.dedicated.storage back, or make another NoteWorkspace",
			called(want), was.String())}
	}
	var claims corev1.PersistentVolumeClaimList
	selector, _, _ := unstructured.NestedStringMap(have.Object, "spec", "selector", "matchLabels")
	if err := e.client.List(ctx, &claims, client.InNamespace(want.GetNamespace()), client.MatchingLabels(selector)); err != nil {
		return nil, fmt.Errorf("list volume claims of %s: %w", called(want), err)
	}
	for i := range claims.Items {
		if err := e.growClaim(ctx, &claims.Items[i], size); err != nil {
			return nil, err
		}
	}
	if err := e.client.Delete(ctx, have, client.PropagationPolicy(metav1.DeletePropagationOrphan)); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("make %s anew: %w", called(want), err)
	}
	have.SetDeletionTimestamp(new(metav1.Now())) // the next attempt finds it gone
	return have, nil
}

func (e *Engine) growClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, size resource.Quantity) error {
	if claim.Spec.Resources.Requests.Storage().Cmp(size) >= 0 {
		return nil
	}
	before := claim.DeepCopy()
	claim.Spec.Resources.Requests[corev1.ResourceStorage] = size
	err := e.client.Patch(ctx, claim, client.MergeFrom(before), client.FieldOwner(FieldOwner))
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return invalidError{fmt.Sprintf("the volume of PersistentVolumeClaim %s cannot grow: %v; put spec.dedicated.storage back, or see to the storage class", claim.Name, err)}
	}
	if err != nil {
		return fmt.Errorf("grow PersistentVolumeClaim %s: %w", claim.Name, err)
	}
	return nil
}

// claimed returns the size of a StatefulSet's volumes.
func claimed(o *unstructured.Unstructured) resource.Quantity {
	templates, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates")
	for _, t := range templates {
		of, _ := t.(map[string]any)
		text, _, _ := unstructured.NestedString(of, "spec", "resources", "requests", "storage")
		if size, err := resource.ParseQuantity(text); err == nil {
			return size
		}
	}
	return resource.Quantity{}
}
