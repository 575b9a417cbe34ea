//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// rolloutRequests is how many requests the rollouts have to survive, each about as many.
const (
	rolloutRequests = 10_000
	rollouts        = 5
)

func TestAnUpgradeAndARolloutOfEachServiceFailNoneOf10000Requests(t *testing.T) {
	s := sharedStack(t)
	shifts := s.shifts(t, 2)
	load := startLoad(t, s, 16, 120)
	served := s.alwaysServed(t, "user", "note", "gateway")
	step := func(name string, roll func() error) {
		began, before := time.Now(), load.requests.Load()
		must(t, roll())
		s.requireRolledOut(t, "user", "note", "gateway")
		load.reach(t, before+rolloutRequests/rollouts)
		t.Logf("%-30s %6v, %5d requests, %d failed so far", name, time.Since(began).Round(time.Second), load.requests.Load()-before, load.failed.Load())
	}
	step("helm upgrade to "+nextTag(), func() error { return s.upgrade("--wait", "--set", "global.imageTag="+nextTag()) })
	for _, chart := range []string{"user", "note", "gateway"} {
		s.requireTag(t, chart, nextTag(), true)
	}
	step("helm rollback", func() error { _, err := s.helm("rollback", release, "--wait", "--timeout", "4m"); return err })
	for _, chart := range []string{"user", "note", "gateway"} {
		step("rollout restart of "+chart, func() error { return s.restart(t.Context(), chart) })
	}
	load.reach(t, rolloutRequests)
	load.end()
	t.Logf("rollouts under load: %d requests, %d failed; the slowest took %v", load.requests.Load(), load.failed.Load(), load.slowest.Round(time.Millisecond))
	load.requireNoneFailed(t)
	served(t)
	for _, result := range shifts.end(t) {
		if result.Unanswered > 0 {
			t.Errorf("%d changes of a desk were not answered at once, first %s", result.Unanswered, result.Trouble)
		}
	}
	for _, chart := range []string{"user", "note", "gateway"} {
		s.requireTag(t, chart, nextTag(), false)
	}
}

// requireTag says whether a chart's pods should run the images of the tag.
func (s *stack) requireTag(t *testing.T, chart, tag string, should bool) {
	t.Helper()
	pods, err := s.pods(t.Context(), chart)
	must(t, err)
	for _, p := range pods {
		if image := p.Spec.Containers[0].Image; strings.HasSuffix(image, ":"+tag) != should {
			t.Errorf("%s runs %s", p.Name, image)
		}
	}
}

// restart does what `kubectl rollout restart` does.
func (s *stack) restart(ctx context.Context, chart string) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339Nano))
	_, err := s.kube.AppsV1().Deployments(s.namespace).Patch(ctx, s.name(chart), types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// requireRolledOut waits until the deployments run what they should, and the pods from before are gone.
func (s *stack) requireRolledOut(t *testing.T, charts ...string) {
	t.Helper()
	for _, chart := range charts {
		eventually(t, 2*time.Minute, "rollout of "+chart, func(ctx context.Context) error {
			d, err := s.kube.AppsV1().Deployments(s.namespace).Get(ctx, s.name(chart), metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !rolledOut(d) {
				return fmt.Errorf("of %d pods %d are new and %d serve", *d.Spec.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas)
			}
			pods, err := s.pods(ctx, chart)
			if err == nil && len(pods) > int(*d.Spec.Replicas) {
				err = errors.New("the old pods are not gone")
			}
			return err
		})
	}
}

func rolledOut(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == want && d.Status.AvailableReplicas == want && d.Status.Replicas == want
}

// alwaysServed watches until the end of the story that each chart has a pod that is ready.
func (s *stack) alwaysServed(t *testing.T, charts ...string) (judge func(*testing.T)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	gaps := map[string]int{}
	watching.Go(func() {
		for tick := time.NewTicker(200 * time.Millisecond); ctx.Err() == nil; {
			for _, chart := range charts {
				pods, err := s.pods(ctx, chart)
				if err == nil && readyPods(pods) == 0 {
					gaps[chart]++
				}
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() { stop(); watching.Wait() })
	return func(t *testing.T) {
		t.Helper()
		stop()
		watching.Wait()
		for chart, n := range gaps {
			t.Errorf("%s was without a ready pod, seen %d times", chart, n)
		}
	}
}

func readyPods(pods []corev1.Pod) (n int) {
	for _, p := range pods {
		if isReady(p) {
			n++
		}
	}
	return n
}
