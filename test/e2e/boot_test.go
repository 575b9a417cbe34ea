//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What an installation may take.
const (
	installTarget = 60 * time.Second
	memoryTarget  = 600 << 20
)

func TestOneCommandInstallsEverythingInAMinute(t *testing.T) {
	s := sharedStack(t)
	t.Logf("helm install --wait took %v; the target is %v", s.installed.Round(100*time.Millisecond), installTarget)
	if s.installed > installTarget {
		t.Errorf("helm install --wait took %v, more than %v", s.installed, installTarget)
	}
	for _, chart := range allCharts() {
		must(t, s.runs(chart)(t.Context()))
	}
	pods, err := s.pods(t.Context(), "")
	must(t, err)
	for _, p := range pods {
		if restarts(p) > 0 {
			t.Errorf("%s was restarted while it was installed: %s", p.Name, stateOf(p))
		}
	}
}

func TestTheIdleStackIsUnder600MB(t *testing.T) {
	s := sharedStack(t)
	var total, before uint64
	var each map[string]uint64
	// The kubelet measures every so often: two figures that differ little are those of a stack at rest.
	eventually(t, 90*time.Second, "the kubelet has measured all pods at rest", func(ctx context.Context) error {
		var err error
		if each, err = s.memory(ctx); err != nil {
			return err
		}
		total = 0
		for _, bytes := range each {
			total += bytes
		}
		rests := before > 0 && total != before && max(total, before)-min(total, before) < 8<<20
		if total != before && !rests {
			before = total
			return fmt.Errorf("%d MB, not at rest yet", total>>20)
		}
		if !rests {
			return fmt.Errorf("%d MB, measured once", total>>20)
		}
		return nil
	})
	for name, bytes := range each {
		t.Logf("%-40s %4d MB", name, bytes>>20)
	}
	t.Logf("memory of the idle stack: %d MB; the target is %d MB", total>>20, memoryTarget>>20)
	if total > memoryTarget {
		t.Errorf("the idle stack takes %d MB", total>>20)
	}
}

// memory is the working set of each pod as the kubelet measures it.
func (s *stack) memory(ctx context.Context) (map[string]uint64, error) {
	nodes, err := s.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	each := map[string]uint64{}
	for _, n := range nodes.Items {
		data, err := s.kube.CoreV1().RESTClient().Get().Resource("nodes").Name(n.Name).SubResource("proxy").Suffix("stats/summary").DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		var summary struct {
			Pods []struct {
				PodRef struct{ Name, Namespace string }
				Memory struct{ WorkingSetBytes uint64 }
			}
		}
		if err := json.Unmarshal(data, &summary); err != nil {
			return nil, err
		}
		for _, p := range summary.Pods {
			if p.PodRef.Namespace == s.namespace {
				each[p.PodRef.Name] = p.Memory.WorkingSetBytes
			}
		}
	}
	pods, err := s.pods(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if isReady(p) && each[p.Name] == 0 {
			return nil, fmt.Errorf("%s is not measured yet", p.Name)
		}
	}
	return each, nil
}

func TestARestrictedNamespaceAcceptsEveryPod(t *testing.T) {
	s := sharedStack(t)
	ns, err := s.kube.CoreV1().Namespaces().Get(t.Context(), s.namespace, metav1.GetOptions{})
	must(t, err)
	if got := ns.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Fatalf("the namespace enforces %q", got)
	}
	events, err := s.kube.CoreV1().Events(s.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	must(t, err)
	for _, e := range events.Items {
		t.Errorf("%s: %s", e.InvolvedObject.Name, e.Message)
	}
	for _, chart := range allCharts() {
		must(t, s.runs(chart)(t.Context()))
	}
}

// That the policies hold is the network's business, and not every cluster has one that does; their edges are checked by the chart tests.
func TestThePoliciesThatDenyByDefaultAreAcceptedAndTheStackWorksUnderThem(t *testing.T) {
	s := sharedStack(t)
	policies, err := s.kube.NetworkingV1().NetworkPolicies(s.namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, chart := range allCharts() {
		pods, err := s.pods(t.Context(), chart)
		must(t, err)
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			if !slices.ContainsFunc(policies.Items, func(p networkingv1.NetworkPolicy) bool {
				selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
				return err == nil && slices.Contains(p.Spec.PolicyTypes, direction) && selector.Matches(labels.Set(pods[0].Labels))
			}) {
				t.Errorf("no policy of %s selects %s", direction, pods[0].Name)
			}
		}
	}
}
