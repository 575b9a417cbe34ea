//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// report prints what a person needs to find the cause of a failed story: pods, events that warn, the last log lines, broken connections.
func (s *stack) report(t *testing.T) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var b strings.Builder
	fmt.Fprintf(&b, "namespace %s\n=== pods\n", s.namespace)
	pods, err := s.pods(ctx, "")
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	for _, p := range pods {
		fmt.Fprintf(&b, "%-40s %s\n", p.Name, stateOf(p))
	}
	fmt.Fprintln(&b, "=== events that warn")
	events, err := s.kube.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning})
	if err != nil {
		fmt.Fprintln(&b, err)
	} else {
		slices.SortFunc(events.Items, func(a, b corev1.Event) int { return happened(a).Compare(happened(b)) })
		for _, e := range events.Items[max(0, len(events.Items)-30):] {
			fmt.Fprintf(&b, "%s %s %s: %s\n", happened(e).Format(time.TimeOnly), e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
	fmt.Fprintln(&b, "=== broken connections")
	s.mu.Lock()
	for name, l := range s.listener {
		for _, p := range l.Problems() {
			fmt.Fprintf(&b, "%s: %s\n", name, p)
		}
	}
	s.mu.Unlock()
	fmt.Fprintf(&b, "=== last log lines\n%s", s.logbook.last(15))
	t.Log(b.String())
}

// happened is when an event was last seen; which field says it depends on who wrote it.
func happened(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	default:
		return e.EventTime.Time
	}
}
