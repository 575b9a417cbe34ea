package stack

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A finding is what is wrong with an object, and how bad that is.
type finding struct {
	rank            int
	reason, message string
}

// What is worst is told: what does not mend itself first.
const (
	failing = iota
	pending
	starting
)

// judge says what there is of a stack, by the objects in the cluster: as `kubectl wait` would, and, for what does not live, why.
func judge(objects []*unstructured.Unstructured, pods []corev1.Pod, claims []corev1.PersistentVolumeClaim) State {
	var found []finding
	for i := range pods {
		found = append(found, ofPod(&pods[i])...)
	}
	for i := range claims {
		found = append(found, ofClaim(&claims[i])...)
	}
	for _, o := range objects {
		found = append(found, ofObject(o)...)
	}
	if len(found) == 0 {
		return State{Ready: true, Reason: Ready, Message: "all pods of the stack are ready"}
	}
	worst := slices.MinFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.message, b.message))
	})
	return State{Reason: worst.reason, Message: worst.message}
}

// judgeSuspended says whether all pods are gone.
func judgeSuspended(pods []corev1.Pod) State {
	if len(pods) > 0 {
		return State{Reason: Suspending, Message: fmt.Sprintf("waits for %d of its pods to stop, such as %s", len(pods), pods[0].Name)}
	}
	return State{Reason: Suspended, Message: "the stack runs no pods; its volumes and passwords are kept. Set spec.suspended to false to start it again"}
}

// ofObject judges by the rules of kstatus: whether what an object asks for has come about.
func ofObject(o *unstructured.Unstructured) []finding {
	if at := o.GetDeletionTimestamp(); at != nil {
		return []finding{{starting, Progressing, fmt.Sprintf("%s is being deleted, and comes back afterwards%s", called(o), held(o.GetFinalizers()))}}
	}
	if o.GetKind() == "PersistentVolumeClaim" {
		return nil // its own rules, above
	}
	result, err := status.Compute(o)
	if err != nil {
		return []finding{{starting, Progressing, fmt.Sprintf("%s: %v", called(o), err)}}
	}
	text := fmt.Sprintf("%s: %s", called(o), result.Message)
	if total, ready := podsOf(o); ready < total {
		text = fmt.Sprintf("%s: %d of %d pods ready", called(o), ready, total)
	}
	if refusal := replicaFailure(o); refusal != "" {
		return []finding{{failing, PodsFailing, fmt.Sprintf("%s: no pod can be made: %s", called(o), refusal)}}
	}
	switch result.Status {
	case status.CurrentStatus:
		return nil
	case status.FailedStatus:
		return []finding{{failing, PodsFailing, text + ": " + result.Message}}
	default:
		return []finding{{starting, Progressing, text}}
	}
}

// podsOf returns how many pods a workload asks for, and how many are ready.
func podsOf(o *unstructured.Unstructured) (total, ready int64) {
	if o.GetKind() != "Deployment" && o.GetKind() != "StatefulSet" {
		return 0, 0
	}
	total, _, _ = unstructured.NestedInt64(o.Object, "spec", "replicas")
	ready, _, _ = unstructured.NestedInt64(o.Object, "status", "readyReplicas")
	return total, ready
}

// replicaFailure is why a Deployment can make no pods: a quota, or Pod Security.
func replicaFailure(o *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if of, _ := c.(map[string]any); of["type"] == "ReplicaFailure" && of["status"] == "True" {
			message, _ := of["message"].(string)
			return message
		}
	}
	return ""
}

func ofClaim(c *corev1.PersistentVolumeClaim) []finding {
	switch {
	case c.DeletionTimestamp != nil:
		return []finding{{pending, VolumesPending, fmt.Sprintf("PersistentVolumeClaim %s is being deleted%s", c.Name, held(c.Finalizers))}}
	case c.Status.Phase == corev1.ClaimBound:
		return nil
	case c.Status.Phase == corev1.ClaimLost:
		return []finding{{failing, VolumesPending, fmt.Sprintf("PersistentVolumeClaim %s has lost its volume: restore it from a backup", c.Name)}}
	case c.Spec.StorageClassName == nil || *c.Spec.StorageClassName == "":
		return []finding{{pending, VolumesPending, fmt.Sprintf("PersistentVolumeClaim %s waits: the cluster has no default storage class; "+
			"name one in spec.dedicated.storage.className of a new NoteWorkspace, or make a default", c.Name)}}
	}
	return []finding{{pending, VolumesPending, fmt.Sprintf("PersistentVolumeClaim %s waits for a volume of storage class %s: see kubectl describe pvc %s",
		c.Name, *c.Spec.StorageClassName, c.Name)}}
}

// ofPod tells what a pod does not get over by itself.
func ofPod(p *corev1.Pod) []finding {
	if p.DeletionTimestamp != nil {
		return nil // on its way out
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			rank := failing
			if strings.Contains(c.Message, "PersistentVolumeClaim") {
				rank = starting // the claim itself says it better
			}
			return []finding{{rank, PodsFailing, fmt.Sprintf("pod %s finds no node: %s", p.Name, c.Message)}}
		}
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if text := ofContainer(c); text != "" {
			return []finding{{failing, PodsFailing, fmt.Sprintf("pod %s: container %s %s", p.Name, c.Name, text)}}
		}
	}
	return nil
}

// ofContainer says why a container does not run, and what to do; nothing if it runs or is about to. The sentence is the same from one attempt
// to the next.
func ofContainer(c corev1.ContainerStatus) string {
	if c.Ready {
		return ""
	}
	waits := ""
	if c.State.Waiting != nil {
		waits = c.State.Waiting.Reason
	}
	last := c.LastTerminationState.Terminated
	switch {
	case last != nil && last.Reason == "OOMKilled":
		return "needs more memory than it may use (OOMKilled): raise limits.memory in spec.dedicated.resources"
	case slices.Contains([]string{"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"}, waits):
		return fmt.Sprintf("waits for the image %s, which cannot be pulled (ImagePullBackOff): see to its registry, its tag and the pull secrets", c.Image)
	case waits == "CrashLoopBackOff", last != nil && last.ExitCode != 0 && c.RestartCount >= manyRestarts:
		return fmt.Sprintf("stops again and again (CrashLoopBackOff%s): its log tells why", exit(last))
	case slices.Contains([]string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}, waits):
		return fmt.Sprintf("waits: %s: %s", waits, c.State.Waiting.Message)
	}
	return ""
}

// manyRestarts tell a container that does not live from one that came before what it needs.
const manyRestarts = 3

func exit(t *corev1.ContainerStateTerminated) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf(", exit code %d", t.ExitCode)
}

func held(finalizers []string) string {
	if len(finalizers) == 0 {
		return ""
	}
	return ", held by the finalizer " + strings.Join(finalizers, ", ")
}
