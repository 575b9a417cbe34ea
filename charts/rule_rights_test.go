package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// excessiveRights finds rules by which a stolen token could do more than the program that has it: wildcards, the verbs that widen rights, all
// Secrets at once, tokens of others, other people's shells.
func excessiveRights(r *release) []string {
	var faults []string
	for owner, rules := range rights(r) {
		for _, rule := range rules {
			for _, why := range excesses(rule) {
				faults = append(faults, owner+": "+why)
			}
		}
	}
	return faults
}

// rights returns the rules of each role.
func rights(r *release) map[string][]rbacv1.PolicyRule {
	found := map[string][]rbacv1.PolicyRule{}
	for _, role := range all[*rbacv1.ClusterRole](r) {
		found["ClusterRole "+role.Name] = role.Rules
	}
	for _, role := range all[*rbacv1.Role](r) {
		found["Role "+role.Name] = role.Rules
	}
	return found
}

func excesses(rule rbacv1.PolicyRule) []string {
	var faults []string
	for _, words := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs} {
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, "*") }) {
			faults = append(faults, fmt.Sprintf("a wildcard in %q", words))
		}
	}
	for _, verb := range []string{"escalate", "bind", "impersonate"} {
		if slices.Contains(rule.Verbs, verb) {
			faults = append(faults, "it may "+verb)
		}
	}
	if slices.Contains(rule.APIGroups, rbacv1.GroupName) {
		faults = append(faults, "it may change rights")
	}
	for _, verb := range []string{"list", "watch", "deletecollection"} {
		if slices.Contains(rule.Resources, "secrets") && slices.Contains(rule.Verbs, verb) {
			faults = append(faults, "it may "+verb+" Secrets, which shows or takes all of them")
		}
	}
	for _, resource := range rule.Resources {
		if slices.Contains([]string{"pods/exec", "pods/attach", "pods/ephemeralcontainers", "nodes/proxy"}, resource) {
			faults = append(faults, "it may get into pods: "+resource)
		}
		if resource == "serviceaccounts/token" && len(rule.ResourceNames) != 1 {
			faults = append(faults, "it may have tokens of any account")
		}
	}
	return faults
}

// Proven on the rule itself, since no release of ours breaks it.
func TestExcessiveRightsAreNoticed(t *testing.T) {
	t.Parallel()
	for says, rule := range map[string]rbacv1.PolicyRule{
		"wildcard":              {APIGroups: []string{"*"}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		"a wildcard in [\"*\"]": {APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"*"}},
		"list Secrets":          {APIGroups: []string{""}, Resources: []string{"configmaps", "secrets"}, Verbs: []string{"get", "list"}},
		"tokens of any account": {APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"}},
		"may change rights":     {APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles"}, Verbs: []string{"create"}},
		"may impersonate":       {APIGroups: []string{""}, Resources: []string{"users"}, Verbs: []string{"impersonate"}},
		"may get into pods":     {APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}},
	} {
		if faults := strings.Join(excesses(rule), "\n"); !strings.Contains(faults, says) {
			t.Errorf("nothing of %q in: %s", says, faults)
		}
	}
}

// What the operator's account holds is one role of the cluster and one of its namespace; people's roles are given to nobody by the chart.
func TestTheOperatorIsGivenItsOwnRightsOnly(t *testing.T) {
	t.Parallel()
	r := rendered(t, install{chart: Operator, release: Operator})
	var given []string
	for _, b := range all[*rbacv1.ClusterRoleBinding](r) {
		given = append(given, b.RoleRef.Kind+" "+b.RoleRef.Name)
	}
	for _, b := range all[*rbacv1.RoleBinding](r) {
		given = append(given, b.RoleRef.Kind+" "+b.RoleRef.Name)
	}
	if want := []string{"ClusterRole noteworks-operator", "Role noteworks-operator"}; !slices.Equal(given, want) {
		t.Errorf("got %q, want %q", given, want)
	}
}
