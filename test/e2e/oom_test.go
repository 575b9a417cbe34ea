//go:build e2e

package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// underWay is how many requests a killed pod may have had, each of which is lost with it: one of each person of the load.
	underWay = 16
	// unnoticed is how long a dead pod may still be given connections: until the kubelet has seen it and the Service's endpoints were written anew.
	unnoticed = 5 * time.Second
)

// The kernel kills without a warning. What was on its way to that pod is lost, what it had answered is not, and the other pod goes on. Nobody stands before the
// gateway here who would send what reached nobody to the other pod, so that is lost, too, for as long as Kubernetes does not know.
func TestAPodOfEachServiceMayRunOutOfMemoryWhilePeopleWrite(t *testing.T) {
	s := sharedStack(t)
	s.inPairs(t)
	shifts := s.shifts(t, 2)
	load := startLoad(t, s, underWay, 120)
	served := s.alwaysServed(t, services()...)
	for _, chart := range services() {
		began := time.Now()
		s.starve(t, chart)
		took := time.Since(began)
		s.requireRolledOut(t, chart)
		lost, over := load.since(began), time.Duration(0)
		if len(lost) > 0 {
			over = lost[len(lost)-1].began.Sub(lost[0].began)
		}
		t.Logf("%-8s killed after %v: %d requests lost, which began within %v", chart, took.Round(time.Second), len(lost), over.Round(time.Millisecond))
		if over > unnoticed || chart != "gateway" && len(lost) > underWay {
			t.Errorf("more was lost with a pod of %s than was on its way to it:\n%s", chart, told(lost))
		}
	}
	load.end()
	served(t)
	for _, result := range shifts.end(t) {
		if result.Outage > healing {
			t.Errorf("people waited %v for an answer", result.Outage)
		}
	}
}

// starve leaves a container of a pod no memory beyond what it uses, until the kernel kills it for asking for more, and then has the pod replaced.
func (s *stack) starve(t *testing.T, chart string) {
	t.Helper()
	pods, err := s.pods(t.Context(), chart)
	must(t, err)
	pod := pods[0]
	end := s.squeeze(t, pod)
	eventually(t, 2*time.Minute, pod.Name+" is killed for its memory", func(ctx context.Context) error {
		now, err := s.kube.CoreV1().Pods(s.namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err == nil && !outOfMemory(now) {
			err = errors.New(stateOf(*now))
		}
		return err
	})
	end()
	must(t, s.kube.CoreV1().Pods(s.namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
	s.requireReplaced(t, chart, []string{pod.Name})
}

// squeezing sets the limit of a container to what it uses, again and again, by the name of its control group in either version of them. The kubelet would not: it refuses
// a limit that does not leave room.
const squeezing = `
shopt -s globstar nullglob
found=(/cgroup/**/*"$CONTAINER"*/)
((${#found[@]} > 0)) || { echo "no control group of $CONTAINER"; exit 1; }
while :; do
	for d in "${found[@]}"; do
		[[ -f $d/memory.max ]] && echo $(($(<"$d/memory.current") + 65536)) >"$d/memory.max"
		[[ -f $d/memory.limit_in_bytes ]] && echo $(($(<"$d/memory.usage_in_bytes") + 65536)) >"$d/memory.limit_in_bytes"
	done
	sleep 0.2
done`

// squeeze runs squeezing on the pod's node, beside the restricted namespace, until end.
func (s *stack) squeeze(t *testing.T, victim corev1.Pod) (end func()) {
	t.Helper()
	_, container, _ := strings.Cut(victim.Status.ContainerStatuses[0].ContainerID, "://")
	privileged, directory := true, corev1.HostPathDirectory
	pods := s.kube.CoreV1().Pods(metav1.NamespaceSystem)
	one, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "squeeze-"},
		Spec: corev1.PodSpec{
			NodeName: victim.Spec.NodeName, RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "squeeze", Image: shellImage, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"bash", "-c", squeezing},
				Env:             []corev1.EnvVar{{Name: "CONTAINER", Value: container}},
				SecurityContext: &corev1.SecurityContext{Privileged: &privileged, RunAsUser: new(int64)},
				VolumeMounts:    []corev1.VolumeMount{{Name: "cgroup", MountPath: "/cgroup"}},
			}},
			Volumes: []corev1.Volume{{Name: "cgroup", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/sys/fs/cgroup", Type: &directory}}}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	end = func() {
		_ = pods.Delete(context.WithoutCancel(t.Context()), one.Name, *metav1.NewDeleteOptions(0)) // it may have gone
	}
	t.Cleanup(end)
	return end
}

// shellImage has bash, and is on the cluster already, for the stack's PostgreSQL.
const shellImage = "docker.io/library/postgres:18"

func outOfMemory(p *corev1.Pod) bool {
	const reason = "OOMKilled"
	for _, c := range p.Status.ContainerStatuses {
		for _, ended := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if ended != nil && ended.Reason == reason {
				return true
			}
		}
	}
	return false
}
