package charts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A rule is a promise about every release, whatever its values.
type rule struct {
	says   string
	faults func(*release) []string
}

func rules() []rule {
	return []rule{
		{"the API's types take every document, strictly", func(r *release) []string { return r.refused }},
		{"no two objects share a name", sharedNames},
		{"names and labels are valid", invalidNames},
		{"objects say what they belong to", missingLabels},
		{"selectors hold what never changes", changingSelectors},
		{"workloads select their own pods and no others", confusedWorkloads},
		{"replicas are spread", unspreadPods},
		{"an environment variable is set once", repeatedEnvironment},
		{"a pod's ports differ", repeatedPorts},
		{"pods meet the restricted Pod Security Standard", unrestrictedPods},
		{"containers write nowhere but in volumes, and are bounded", unconfinedContainers},
		{"pods hold no token of the API unless they say which", unaskedTokens},
		{"probes differ and reach a port", weakProbes},
		{"a rollout takes nothing away before its time", hastyRollouts},
		{"services reach pods", strandedServices},
		{"references resolve", brokenReferences},
		{"volumes are mounted and mounts have volumes", looseVolumes},
		{"network policies state real edges, at both ends", falseEdges},
		{"disruption budgets protect and do not block", falseBudgets},
		{"autoscalers have their target to themselves", falseAutoscalers},
		{"routes lead to services", falseRoutes},
		{"monitors find what they watch", falseMonitors},
		{"addresses lead to services", falseAddresses},
		{"settings are ones that the program reads", unknownSettings},
		{"configuration files are well formed", malformedFiles},
		{"what is secret stands in Secrets only", leakedSecrets},
		{"roles allow what is needed and no more", excessiveRights},
	}
}

// obey holds a release against all rules but those that somebody has chosen to live without.
func obey(t *testing.T, r *release, without ...string) {
	t.Helper()
	for _, rule := range rules() {
		if slices.Contains(without, rule.says) {
			continue
		}
		if faults := rule.faults(r); len(faults) > 0 {
			t.Errorf("broken: %s\n\t%s", rule.says, strings.Join(faults, "\n\t"))
		}
	}
}

// A workload is what makes pods of a template.
type workload struct {
	object
	template *corev1.PodTemplateSpec
	selector *metav1.LabelSelector // nil for jobs, whose controller makes one
	replicas int32                 // 1 when an autoscaler decides
	claims   []corev1.PersistentVolumeClaim
}

func (w workload) serves() bool { return w.selector != nil }

func (w workload) labels() labels.Set { return w.template.Labels }

func (w workload) containers() []corev1.Container {
	return slices.Concat(w.template.Spec.InitContainers, w.template.Spec.Containers)
}

// port resolves a port's name or number to the number of a port that a container declares.
func (w workload) port(name string) (int32, bool) {
	for _, c := range w.template.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name || fmt.Sprint(p.ContainerPort) == name {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

func workloads(r *release) []workload {
	var found []workload
	for _, o := range r.objects {
		switch w := o.Object.(type) {
		case *appsv1.Deployment:
			found = append(found, workload{o, &w.Spec.Template, w.Spec.Selector, atLeastOne(w.Spec.Replicas), nil})
		case *appsv1.StatefulSet:
			found = append(found, workload{o, &w.Spec.Template, w.Spec.Selector, atLeastOne(w.Spec.Replicas), w.Spec.VolumeClaimTemplates})
		case *appsv1.DaemonSet:
			found = append(found, workload{o, &w.Spec.Template, w.Spec.Selector, 1, nil})
		case *batchv1.Job:
			found = append(found, workload{o, &w.Spec.Template, nil, 1, nil})
		case *batchv1.CronJob:
			found = append(found, workload{o, &w.Spec.JobTemplate.Spec.Template, nil, 1, nil})
		case *corev1.Pod:
			found = append(found, workload{o, &corev1.PodTemplateSpec{ObjectMeta: w.ObjectMeta, Spec: w.Spec}, nil, 1, nil})
		}
	}
	return found
}

func atLeastOne(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// selected returns the workloads whose pods a selector finds; an empty one finds all.
func selected(r *release, selector *metav1.LabelSelector) []workload {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	return selectedBy(r, s)
}

func selectedBy(r *release, s labels.Selector) []workload {
	var found []workload
	for _, w := range append(workloads(r), operated(r)...) {
		if s.Matches(w.labels()) {
			found = append(found, w)
		}
	}
	return found
}

// operated are the pods that operators make of a release's objects, as far as selectors and policies see them.
func operated(r *release) []workload {
	var found []workload
	for _, o := range r.objects {
		c, is := o.Object.(*cnpgCluster)
		if !is {
			continue
		}
		template := &corev1.PodTemplateSpec{}
		template.Labels = map[string]string{"app.kubernetes.io/name": "postgresql", "cnpg.io/cluster": c.Name}
		if c.Spec.InheritedMetadata != nil {
			maps.Copy(template.Labels, c.Spec.InheritedMetadata.Labels)
		}
		template.Spec.Containers = []corev1.Container{{Name: "postgres", Ports: []corev1.ContainerPort{
			{Name: "postgresql", ContainerPort: 5432}, {Name: "metrics", ContainerPort: 9187}, {Name: "status", ContainerPort: 8000},
		}}}
		found = append(found, workload{object: o, template: template, replicas: int32(c.Spec.Instances)})
	}
	return found
}

// faultsOf gathers what a check finds wrong with each workload.
func faultsOf(r *release, check func(w workload, fault func(format string, args ...any))) []string {
	var faults []string
	for _, w := range workloads(r) {
		check(w, func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s: ", w)+fmt.Sprintf(format, args...))
		})
	}
	return faults
}

// repeated returns those values that come more than once.
func repeated(values []string) []string {
	seen := map[string]int{}
	var twice []string
	for _, v := range values {
		if seen[v]++; seen[v] == 2 {
			twice = append(twice, v)
		}
	}
	return twice
}
