package charts

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// environment returns the plain variables of a deployment's first container.
func environment(t *testing.T, r *release, deployment string) map[string]string {
	t.Helper()
	d, found := named[*appsv1.Deployment](r, deployment)
	if !found {
		t.Fatalf("there is no Deployment %s", deployment)
	}
	values := map[string]string{}
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		values[e.Name] = e.Value
	}
	return values
}

// As docs/kubernetes.md has people install both: nothing is said twice, and each finds the other.
func TestTheOperatorFindsThePlatformAndIsLetIn(t *testing.T) {
	t.Parallel()
	platform := rendered(t, install{values: map[string]any{
		"user": map[string]any{"rpc": map[string]any{"callers": map[string]any{"operator": namespace + "/noteworks-operator"}}},
	}})
	operator := rendered(t, install{chart: Operator, release: Operator})
	told, user := environment(t, operator, "noteworks-operator"), environment(t, platform, "noteworks-user")

	if service := told["PLATFORM_RELEASE"] + "-user"; told["PLATFORM_NAMESPACE"] != namespace || !listens(platform, service, "8082") {
		t.Errorf("no Service %s/%s has port 8082", told["PLATFORM_NAMESPACE"], service)
	}
	if told["PLATFORM_RPC_AUDIENCE"] != user["RPC_TOKEN_AUDIENCE"] {
		t.Errorf("tokens are for %q, and %q is asked for", told["PLATFORM_RPC_AUDIENCE"], user["RPC_TOKEN_AUDIENCE"])
	}
	caller := "operator=" + told["OPERATOR_NAMESPACE"] + "/" + told["OPERATOR_SERVICE_ACCOUNT"]
	if !slices.Contains(strings.Split(user["RPC_SERVICE_ACCOUNTS"], ","), caller) {
		t.Errorf("%s is none of %s", caller, user["RPC_SERVICE_ACCOUNTS"])
	}
	if told["BASE_DOMAIN"] != user["BASE_DOMAIN"] {
		t.Errorf("addresses end with %q, and with %q", told["BASE_DOMAIN"], user["BASE_DOMAIN"])
	}
	for _, end := range []struct {
		policy    string
		of        *release
		direction networkingv1.PolicyType
		other     workload
	}{
		{"noteworks-operator", operator, networkingv1.PolicyTypeEgress, one(t, platform, "user")},
		{"noteworks-user", platform, networkingv1.PolicyTypeIngress, one(t, operator, "noteworks-operator")},
	} {
		policy, _ := named[*networkingv1.NetworkPolicy](end.of, end.policy)
		if !slices.ContainsFunc(openings(policy, end.direction), func(o opening) bool { return opens(o, end.other, 8082) }) {
			t.Errorf("NetworkPolicy %s does not open %s to %s:8082", end.policy, end.direction, end.other)
		}
	}
}

// Events hold what people write, and a dead letter that is discarded is gone.
func TestNobodyAdministersEventsUnlessTheValuesSayWho(t *testing.T) {
	t.Parallel()
	account := map[string]any{"rpc": map[string]any{"callers": map[string]any{"admin": "infra/oncall"}}}
	silent, told := rendered(t, install{}), rendered(t, install{values: map[string]any{"user": account, "note": account}})
	for _, service := range []string{"noteworks-user", "noteworks-note"} {
		if accounts := environment(t, silent, service)["RPC_SERVICE_ACCOUNTS"]; strings.Contains(accounts, "admin=") {
			t.Errorf("%s lets in %s, and nobody said so", service, accounts)
		}
		if accounts := environment(t, told, service)["RPC_SERVICE_ACCOUNTS"]; !slices.Contains(strings.Split(accounts, ","), "admin=infra/oncall") {
			t.Errorf("%s lets in %s, and not whom the values say", service, accounts)
		}
	}
}

func one(t *testing.T, r *release, name string) workload {
	t.Helper()
	for _, w := range workloads(r) {
		if component(w) == name {
			return w
		}
	}
	t.Fatalf("there is no %s", name)
	return workload{}
}

// opens says whether it names pods by their labels in any namespace, and these pods are among them.
func opens(o opening, pods workload, port int32) bool {
	named := slices.ContainsFunc(o.peers, func(p networkingv1.NetworkPolicyPeer) bool {
		s, err := metav1.LabelSelectorAsSelector(p.PodSelector)
		return err == nil && !s.Empty() && p.NamespaceSelector != nil && s.Matches(pods.labels())
	})
	return named && slices.ContainsFunc(o.ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntVal == port })
}
