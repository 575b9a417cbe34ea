//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// services have several pods where nobody should notice that one goes.
func services() []string { return []string{"user", "note", "gateway"} }

// inPairs gives each service two pods for the length of a story.
func (s *stack) inPairs(t *testing.T) {
	t.Helper()
	var pairs []string
	for _, chart := range services() {
		pairs = append(pairs, "--set", chart+".replicas=2")
	}
	must(t, s.upgrade(append([]string{"--wait"}, pairs...)...))
	s.requireRolledOut(t, services()...)
	t.Cleanup(func() {
		if err := s.upgrade("--wait"); err != nil {
			t.Error(err)
		}
	})
}

// Whoever drains a node asks for the pods' leave by the Eviction API, and waits where a PodDisruptionBudget says no.
func TestTheServicesPodsAreDrainedFromTheirNodeAndNoRequestFails(t *testing.T) {
	s := sharedStack(t)
	s.inPairs(t)
	shifts := s.shifts(t, 2)
	load := startLoad(t, s, 16, 120)
	served := s.alwaysServed(t, services()...)
	for _, chart := range services() {
		began, before := time.Now(), load.requests.Load()
		refused := s.drain(t, chart)
		s.requireRolledOut(t, chart)
		t.Logf("%-8s drained in %v: %d requests, %d failed so far, %d evictions were refused first", chart, time.Since(began).Round(time.Second),
			load.requests.Load()-before, load.failed.Load(), refused)
		if refused == 0 {
			t.Errorf("nothing kept both pods of %s from going at once", chart)
		}
	}
	load.end()
	load.requireNoneFailed(t)
	served(t)
	for _, result := range shifts.end(t) {
		if result.Unanswered > 0 {
			t.Errorf("%d changes of a desk were not answered at once, first %s", result.Unanswered, result.Trouble)
		}
	}
}

// drain evicts the pods that a chart has now as `kubectl drain` does: all at once, and again those whose eviction was refused. It returns how many were.
func (s *stack) drain(t *testing.T, chart string) (refused int) {
	t.Helper()
	pods, err := s.pods(t.Context(), chart)
	must(t, err)
	first := true
	eventually(t, 3*time.Minute, "the pods of "+chart+" are drained", func(ctx context.Context) error {
		var left []error
		for _, p := range pods {
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}, DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}}}
			err := s.kube.PolicyV1().Evictions(s.namespace).Evict(ctx, eviction)
			if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				continue // it has gone
			}
			if apierrors.IsTooManyRequests(err) && first {
				refused++
			}
			left = append(left, fmt.Errorf("%s is still there", p.Name), err)
		}
		first = false
		return errors.Join(left...)
	})
	return refused
}
