package charts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// immutable returns what the API server lets nobody change in an object that is there, by the object's name.
func immutable(t *testing.T, r *release) map[string]string {
	t.Helper()
	found := map[string]string{}
	keep := func(o object, parts ...any) {
		text, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		found[o.String()] = string(text)
	}
	for _, o := range r.objects {
		switch v := o.Object.(type) {
		case *appsv1.Deployment:
			keep(o, v.Spec.Selector)
		case *appsv1.StatefulSet:
			keep(o, v.Spec.Selector, v.Spec.ServiceName, v.Spec.PodManagementPolicy, v.Spec.VolumeClaimTemplates)
		case *corev1.Service:
			keep(o, v.Spec.ClusterIP == corev1.ClusterIPNone)
		case *corev1.Secret:
			keep(o, v.Type, v.Immutable)
		case *corev1.PersistentVolumeClaim:
			keep(o, v.Spec.AccessModes, v.Spec.StorageClassName)
		}
	}
	return found
}

// firstOnly are values that a release is born with: of volumes, which outlive their pods.
func firstOnly(f flip) bool {
	return slices.Contains(f.path, "persistence") || strings.HasPrefix(strings.Join(f.path, "."), "storage.badger.")
}

// frozen returns what an upgrade by this flip would fail at.
func frozen(before, after map[string]string) []string {
	var faults []string
	for name, was := range before {
		if now, still := after[name]; still && now != was {
			faults = append(faults, fmt.Sprintf("%s cannot change: %s", name, difference(was, now)))
		}
	}
	return faults
}

func TestAnUpgradeThatWouldFailIsNoticed(t *testing.T) {
	t.Parallel()
	before := immutable(t, rendered(t, install{}))
	larger := map[string]any{"nats": map[string]any{"persistence": map[string]any{"size": "9Gi"}}}
	faults := frozen(before, immutable(t, rendered(t, install{values: larger})))
	if len(faults) != 1 || !strings.Contains(faults[0], "StatefulSet noteworks-nats") {
		t.Errorf("got %q", faults)
	}
}
