package stack

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func parsed(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTheWorstThatIsWrongIsTold(t *testing.T) {
	t.Parallel()
	const whole = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: acme-nw-note, generation: 1}, spec: {replicas: 1},
  status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: "True"}]}}`
	const half = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: acme-nw-note, generation: 1}, spec: {replicas: 2},
  status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: "True"}]}}`
	const unseen = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: acme-nw-nats, generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, readyReplicas: 1}}`
	const quota = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: acme-nw-user, generation: 1}, spec: {replicas: 1},
  status: {observedGeneration: 1, conditions: [{type: ReplicaFailure, status: "True", message: "exceeded quota: small"}]}}`
	const leaving = `{apiVersion: v1, kind: Service, metadata: {name: acme-nw-note, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: [example.org/x]}}`

	pod := func(change func(*corev1.Pod)) []corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "acme-nw-note-0"}}
		change(&p)
		return []corev1.Pod{p}
	}
	waiting := func(reason string, last *corev1.ContainerStateTerminated) []corev1.Pod {
		return pod(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{
				Name: "note", Image: "noteworks/note:7", RestartCount: 4,
				State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "no such image"}},
				LastTerminationState: corev1.ContainerState{Terminated: last},
			}}
		})
	}
	unscheduled := func(message string) []corev1.Pod {
		return pod(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message}}
		})
	}
	claim := func(phase corev1.PersistentVolumeClaimPhase, class *string) []corev1.PersistentVolumeClaim {
		return []corev1.PersistentVolumeClaim{{
			ObjectMeta: metav1.ObjectMeta{Name: "data-0"}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: class},
			Status: corev1.PersistentVolumeClaimStatus{Phase: phase},
		}}
	}
	for name, c := range map[string]struct {
		objects []string
		pods    []corev1.Pod
		claims  []corev1.PersistentVolumeClaim
		reason  string
		says    []string
	}{
		"all is well":           {[]string{whole}, nil, claim(corev1.ClaimBound, nil), Ready, []string{"all pods"}},
		"one of two":            {[]string{half}, nil, nil, Progressing, []string{"Deployment acme-nw-note: 1 of 2 pods ready"}},
		"a change not yet seen": {[]string{whole, unseen}, nil, nil, Progressing, []string{"StatefulSet acme-nw-nats"}},
		"no pod can be made":    {[]string{half, quota}, nil, nil, PodsFailing, []string{"acme-nw-user", "exceeded quota"}},
		"going away":            {[]string{leaving}, nil, nil, Progressing, []string{"Service acme-nw-note is being deleted", "example.org/x"}},
		"an image is missing":   {[]string{half}, waiting("ImagePullBackOff", nil), nil, PodsFailing, []string{"container note waits for the image noteworks/note:7, which cannot be pulled (ImagePullBackOff)"}},
		"it crashes":            {[]string{half}, waiting("CrashLoopBackOff", &corev1.ContainerStateTerminated{ExitCode: 3}), nil, PodsFailing, []string{"CrashLoopBackOff, exit code 3"}},
		"too little memory":     {[]string{half}, waiting("CrashLoopBackOff", &corev1.ContainerStateTerminated{Reason: "OOMKilled"}), nil, PodsFailing, []string{"raise limits.memory"}},
		"it crashes, and runs just now": {[]string{half}, pod(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{
				Name: "note", RestartCount: 3, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}},
			}}
		}), nil, PodsFailing, []string{"stops again and again"}},
		"it is about to start": {[]string{half}, waiting("ContainerCreating", nil), nil, Progressing, nil},
		"no node":              {[]string{half}, unscheduled("0/1 nodes: insufficient cpu"), nil, PodsFailing, []string{"finds no node: 0/1 nodes"}},
		"no node for want of a disk": {[]string{half}, unscheduled("pod has unbound immediate PersistentVolumeClaims"), claim(corev1.ClaimPending, nil), VolumesPending,
			[]string{"no default storage class"}},
		"a disk that does not come": {[]string{whole}, nil, claim(corev1.ClaimPending, new("fast")), VolumesPending, []string{"storage class fast"}},
		"a pod on its way out":      {[]string{whole}, pod(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }), nil, Ready, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var objects []*unstructured.Unstructured
			for _, text := range c.objects {
				objects = append(objects, parsed(t, text))
			}
			state := judge(objects, c.pods, c.claims)
			if state.Reason != c.reason || state.Ready != (c.reason == Ready) {
				t.Errorf("%s: %s", state.Reason, state.Message)
			}
			for _, want := range c.says {
				if !strings.Contains(state.Message, want) {
					t.Errorf("%q does not say %q", state.Message, want)
				}
			}
		})
	}
}
