package charts

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

func sharedNames(r *release) []string {
	var names []string
	for _, o := range r.objects {
		names = append(names, o.GetObjectKind().GroupVersionKind().GroupKind().String()+" "+o.meta().GetNamespace()+"/"+o.meta().GetName())
	}
	return repeated(names)
}

// invalidNames finds what the API server's validation would: decoding checks types only.
func invalidNames(r *release) []string {
	var faults []string
	for _, o := range r.objects {
		valid := validation.IsDNS1123Subdomain
		switch o.kind() {
		case "Service", "StatefulSet", "Deployment": // their names become labels or host names of pods
			valid = validation.IsDNS1035Label
		}
		for _, why := range valid(o.meta().GetName()) {
			faults = append(faults, fmt.Sprintf("%s: %s", o, why))
		}
		if o.meta().GetNamespace() != namespace {
			faults = append(faults, fmt.Sprintf("%s: is in namespace %s, which is not the release's", o, o.meta().GetNamespace()))
		}
		faults = append(faults, invalidLabels(o.String(), o.meta().GetLabels())...)
		faults = append(faults, invalidAnnotations(o.String(), o.meta().GetAnnotations())...)
	}
	return append(faults, faultsOf(r, func(w workload, fault func(string, ...any)) {
		for _, why := range append(invalidLabels("pods", w.labels()), invalidAnnotations("pods", w.template.Annotations)...) {
			fault("%s", why)
		}
		for _, c := range w.containers() {
			for _, p := range c.Ports {
				for _, why := range validation.IsValidPortName(p.Name) {
					fault("port %s: %s", p.Name, why)
				}
			}
			for _, e := range c.Env {
				for _, why := range validation.IsEnvVarName(e.Name) {
					fault("variable %s: %s", e.Name, why)
				}
			}
		}
	})...)
}

func invalidLabels(of string, labels map[string]string) []string {
	var faults []string
	for key, value := range labels {
		for _, why := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			faults = append(faults, fmt.Sprintf("%s: label %s=%s: %s", of, key, value, why))
		}
	}
	return faults
}

func invalidAnnotations(of string, annotations map[string]string) []string {
	var faults []string
	for key := range annotations {
		for _, why := range validation.IsQualifiedName(strings.ToLower(key)) {
			faults = append(faults, fmt.Sprintf("%s: annotation %s: %s", of, key, why))
		}
	}
	return faults
}

// missingLabels wants the labels that Kubernetes and Helm recommend on every object, and the stable ones on its pods.
func missingLabels(r *release) []string {
	var faults []string
	want := func(of string, labels map[string]string, keys ...string) {
		for _, key := range keys {
			if labels[key] == "" {
				faults = append(faults, fmt.Sprintf("%s: no label %s", of, key))
			}
		}
	}
	stable := []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "app.kubernetes.io/part-of"}
	for _, o := range r.objects {
		want(o.String(), o.meta().GetLabels(), append(stable, "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart")...)
	}
	for _, w := range workloads(r) {
		want("pods of "+w.String(), w.labels(), stable...)
	}
	return faults
}

// changingSelectors finds labels in selectors that another version of the chart changes: a workload's selector cannot be changed,
// and any other would lose the pods of the version before during a rollout.
func changingSelectors(r *release) []string {
	var faults []string
	check := func(of string, labels map[string]string) {
		for _, key := range []string{"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
			if _, found := labels[key]; found {
				faults = append(faults, fmt.Sprintf("%s: selects by %s", of, key))
			}
		}
	}
	for _, w := range workloads(r) {
		if w.serves() {
			check(w.String(), w.selector.MatchLabels)
		}
		for _, c := range w.claims {
			check("claims of "+w.String(), c.Labels)
		}
	}
	for _, s := range all[*corev1.Service](r) {
		check("Service "+s.Name, s.Spec.Selector)
	}
	return faults
}

func confusedWorkloads(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		if !w.serves() {
			return
		}
		if s, err := metav1.LabelSelectorAsSelector(w.selector); err != nil || s.Empty() {
			fault("its selector is empty or invalid: %v", err)
			return
		}
		own := false
		for _, found := range selected(r, w.selector) {
			if found.String() == w.String() {
				own = true
			} else {
				fault("it selects the pods of %s", found)
			}
		}
		if !own {
			fault("it does not select its own pods")
		}
	})
}
