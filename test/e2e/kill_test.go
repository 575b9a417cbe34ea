//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// healing is how long people may have to wait for an answer when a pod, the only one of its kind, was killed.
const healing = 30 * time.Second

func TestEachPodMayDieWhilePeopleWriteAndNothingIsLost(t *testing.T) {
	s := sharedStack(t)
	for _, chart := range allCharts() {
		t.Run(chart, func(t *testing.T) {
			shifts := s.shifts(t, 3)
			began := time.Now()
			killed, err := s.kill(t.Context(), chart)
			must(t, err)
			s.requireReplaced(t, chart, killed)
			ready := time.Since(began)
			must(t, s.settled(t))
			var worst time.Duration
			for _, result := range shifts.end(t) {
				worst = max(worst, result.Outage)
			}
			t.Logf("%s killed: ready again after %v, the longest wait for an answer was %v", chart, ready.Round(100*time.Millisecond), worst.Round(100*time.Millisecond))
			if worst > healing {
				t.Errorf("people waited %v for an answer", worst)
			}
		})
	}
}

func TestNATSMayLoseItsVolumeWhilePeopleWriteAndNothingIsLostOrDoubled(t *testing.T) {
	s := sharedStack(t)
	shifts := s.shifts(t, 3)
	back := s.away(t, "nats")
	claims, err := s.kube.CoreV1().PersistentVolumeClaims(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=nats"})
	must(t, err)
	if len(claims.Items) == 0 {
		t.Fatal("NATS has no volume")
	}
	for _, c := range claims.Items {
		must(t, s.kube.CoreV1().PersistentVolumeClaims(s.namespace).Delete(t.Context(), c.Name, metav1.DeleteOptions{}))
	}
	eventually(t, time.Minute, "the volume is gone", func(ctx context.Context) error {
		left, err := s.kube.CoreV1().PersistentVolumeClaims(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=nats"})
		if err == nil && len(left.Items) > 0 {
			err = fmt.Errorf("%s is still there", left.Items[0].Name)
		}
		return err
	})
	back()
	eventually(t, time.Minute, "NATS is back", s.runs("nats"))
	must(t, s.settled(t))
	for _, result := range shifts.end(t) {
		if result.Unanswered > 0 {
			t.Errorf("without NATS %d changes were not answered, though writes do not need it, first %s", result.Unanswered, result.Trouble)
		}
	}
}

// requireReplaced waits until pods other than the killed ones are ready.
func (s *stack) requireReplaced(t *testing.T, chart string, killed []string) {
	t.Helper()
	began := time.Now()
	eventually(t, 2*time.Minute, chart+" is back", func(ctx context.Context) error {
		pods, err := s.pods(ctx, chart)
		if err != nil {
			return err
		}
		for _, p := range pods {
			// A StatefulSet's pod comes back under its old name.
			if slices.Contains(killed, p.Name) && p.CreationTimestamp.Time.Before(began.Add(-2*time.Second)) {
				return fmt.Errorf("%s has not gone", p.Name)
			}
		}
		return s.runs(chart)(ctx)
	})
}

// settled waits until everything is ready, and a little more in which people go on: what breaks late is to be seen, too.
func (s *stack) settled(t *testing.T) error {
	t.Helper()
	if _, err := within(t.Context(), 2*time.Minute, s.runs()); err != nil {
		return err
	}
	select {
	case <-t.Context().Done():
	case <-time.After(3 * time.Second):
	}
	return nil
}
