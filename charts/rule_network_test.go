package charts

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func strandedServices(r *release) []string {
	var faults []string
	for _, s := range all[*corev1.Service](r) {
		fault := func(format string, args ...any) {
			faults = append(faults, "Service "+s.Name+": "+fmt.Sprintf(format, args...))
		}
		if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP && len(words(r.values)) == 0 {
			fault("it is open to the outside without having been asked to")
		}
		targets := selectedBy(r, labels.SelectorFromSet(s.Spec.Selector))
		if len(s.Spec.Selector) == 0 || len(targets) == 0 {
			fault("it selects no pod")
		}
		var names []string
		for _, p := range s.Spec.Ports {
			names = append(names, p.Name)
			for _, w := range targets {
				if _, found := w.port(targetPort(p)); !found {
					fault("port %s leads to port %s, which the pods of %s do not have", p.Name, targetPort(p), w)
				}
			}
		}
		for _, name := range repeated(names) {
			fault("two ports are named %q", name)
		}
	}
	for _, s := range all[*appsv1.StatefulSet](r) {
		if service, found := named[*corev1.Service](r, s.Spec.ServiceName); !found || service.Spec.ClusterIP != corev1.ClusterIPNone {
			faults = append(faults, fmt.Sprintf("StatefulSet %s: %q is no headless Service, which names its pods", s.Name, s.Spec.ServiceName))
		}
	}
	return faults
}

func targetPort(p corev1.ServicePort) string {
	if p.TargetPort == (intstr.IntOrString{}) {
		return portNumber(p.Port)
	}
	return p.TargetPort.String()
}

// An edge is a connection that a network policy lets through: from the pods of one workload to a port of another's.
type edge struct {
	from, to string
	port     int32
}

func (e edge) String() string { return fmt.Sprintf("%s -> %s:%d", e.from, e.to, e.port) }

// falseEdges wants every pod to be closed by default, what a policy opens to be there, and each edge to be open at both ends. Edges to
// the outside (DNS, an ingress controller, another namespace) have one end only.
func falseEdges(r *release) []string {
	faults := faultsOf(r, func(w workload, fault func(string, ...any)) {
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			if len(policies(r)) > 0 && !closed(r, w, direction) {
				fault("no policy closes its %s", direction)
			}
		}
	})
	out, missing := edges(r, networkingv1.PolicyTypeEgress)
	in, more := edges(r, networkingv1.PolicyTypeIngress)
	faults = append(faults, append(missing, more...)...)
	for _, e := range out {
		if !slices.Contains(in, e) && closes(r, e.to, e.port, networkingv1.PolicyTypeIngress) {
			faults = append(faults, fmt.Sprintf("%s is let out and not let in", e))
		}
	}
	for _, e := range in {
		if !slices.Contains(out, e) && closes(r, e.from, e.port, networkingv1.PolicyTypeEgress) {
			faults = append(faults, fmt.Sprintf("%s is let in and not let out", e))
		}
	}
	return faults
}

func policies(r *release) []*networkingv1.NetworkPolicy { return all[*networkingv1.NetworkPolicy](r) }

func closed(r *release, w workload, direction networkingv1.PolicyType) bool {
	for _, p := range policies(r) {
		s, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err == nil && s.Matches(w.labels()) && slices.Contains(p.Spec.PolicyTypes, direction) {
			return true
		}
	}
	return false
}

// closes says whether a component's pods are closed to a port, but for what is named: an edge needs opening at that end only then.
func closes(r *release, name string, port int32, direction networkingv1.PolicyType) bool {
	for _, w := range append(workloads(r), operated(r)...) {
		if component(w) == name {
			return closed(r, w, direction) && !open(r, w, port, direction)
		}
	}
	return false
}

// open says whether a port is open from or to everywhere.
func open(r *release, w workload, port int32, direction networkingv1.PolicyType) bool {
	for _, p := range policies(r) {
		s, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil || !s.Matches(w.labels()) {
			continue
		}
		for _, o := range openings(p, direction) {
			if len(o.peers) == 0 && slices.ContainsFunc(o.ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntVal == port }) {
				return true
			}
		}
	}
	return false
}

// edges returns what the policies of a direction open between workloads of the release, and what they open to nobody.
func edges(r *release, direction networkingv1.PolicyType) (found []edge, faults []string) {
	for _, p := range policies(r) {
		here := selected(r, &p.Spec.PodSelector)
		if len(here) == 0 {
			faults = append(faults, fmt.Sprintf("NetworkPolicy %s: it selects no pod", p.Name))
		}
		for _, opening := range openings(p, direction) {
			nobody := []string{}
			somebody := false
			for _, peer := range opening.peers {
				if peer.PodSelector == nil || peer.NamespaceSelector != nil || len(peer.PodSelector.MatchLabels)+len(peer.PodSelector.MatchExpressions) == 0 {
					continue // somewhere else, or anybody here
				}
				there := selected(r, peer.PodSelector)
				if len(there) == 0 {
					nobody = append(nobody, metav1.FormatLabelSelector(peer.PodSelector))
				}
				somebody = somebody || len(there) > 0
				from, to := there, here
				if direction == networkingv1.PolicyTypeEgress {
					from, to = here, there
				}
				found = append(found, cross(from, to, opening.ports)...)
			}
			// One of several may be missing: a database is an instance or a cluster.
			if len(nobody) > 0 && !somebody && !r.alone() {
				faults = append(faults, fmt.Sprintf("NetworkPolicy %s: %s names pods that are not there: %s", p.Name, direction, strings.Join(nobody, " or ")))
			}
			if direction == networkingv1.PolicyTypeIngress {
				faults = append(faults, closedPorts(r, p.Name, here, opening.ports)...)
			}
		}
	}
	return found, faults
}

type opening struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func openings(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []opening {
	var found []opening
	if direction == networkingv1.PolicyTypeIngress {
		for _, rule := range p.Spec.Ingress {
			found = append(found, opening{rule.From, rule.Ports})
		}
		return found
	}
	for _, rule := range p.Spec.Egress {
		found = append(found, opening{rule.To, rule.Ports})
	}
	return found
}

func cross(from, to []workload, ports []networkingv1.NetworkPolicyPort) []edge {
	var found []edge
	for _, f := range from {
		for _, t := range to {
			for _, p := range ports {
				if number, has := t.port(p.Port.String()); has {
					found = append(found, edge{component(f), component(t), number})
				} else {
					found = append(found, edge{component(f), component(t), p.Port.IntVal})
				}
			}
		}
	}
	return found
}

func component(w workload) string { return w.labels()["app.kubernetes.io/name"] }

// closedPorts finds ports that a policy opens and no selected pod has, unless somebody asked for them.
func closedPorts(r *release, policy string, here []workload, ports []networkingv1.NetworkPolicyPort) []string {
	var faults []string
	if len(ports) == 0 {
		faults = append(faults, fmt.Sprintf("NetworkPolicy %s: it opens every port", policy))
	}
	for _, p := range ports {
		has := func(w workload) bool { _, found := w.port(p.Port.String()); return found }
		if !slices.ContainsFunc(here, has) && !slices.Contains(words(r.values), p.Port.String()) {
			faults = append(faults, fmt.Sprintf("NetworkPolicy %s: no pod has port %s", policy, p.Port))
		}
	}
	return faults
}

func falseBudgets(r *release) []string {
	var faults []string
	for _, b := range all[*policyv1.PodDisruptionBudget](r) {
		fault := func(format string, args ...any) {
			faults = append(faults, "PodDisruptionBudget "+b.Name+": "+fmt.Sprintf(format, args...))
		}
		targets := selected(r, b.Spec.Selector)
		if len(targets) != 1 {
			fault("it protects %v", names(targets))
			continue
		}
		if (b.Spec.MinAvailable == nil) == (b.Spec.MaxUnavailable == nil) {
			fault("it says neither or both of minAvailable and maxUnavailable")
		}
		if b.Spec.MaxUnavailable != nil && b.Spec.MaxUnavailable.String() == "0" {
			fault("no node can ever be drained")
		}
		if b.Spec.MinAvailable != nil {
			least, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, int(targets[0].replicas), true)
			if err != nil || least >= int(targets[0].replicas) && !autoscaled(r, targets[0]) {
				fault("%s of %d must stay: no node can ever be drained", b.Spec.MinAvailable, targets[0].replicas)
			}
		}
	}
	for _, w := range workloads(r) {
		if w.serves() && w.replicas > 1 && !slices.ContainsFunc(all[*policyv1.PodDisruptionBudget](r), func(b *policyv1.PodDisruptionBudget) bool {
			return slices.Contains(names(selected(r, b.Spec.Selector)), w.String())
		}) {
			faults = append(faults, fmt.Sprintf("%s: a drain may take all %d replicas at once", w, w.replicas))
		}
	}
	return faults
}

func autoscaled(r *release, w workload) bool {
	return slices.ContainsFunc(all[*autoscalingv2.HorizontalPodAutoscaler](r), func(h *autoscalingv2.HorizontalPodAutoscaler) bool {
		return h.Spec.ScaleTargetRef.Kind+" "+h.Spec.ScaleTargetRef.Name == w.String()
	})
}

func falseAutoscalers(r *release) []string {
	var faults []string
	for _, h := range all[*autoscalingv2.HorizontalPodAutoscaler](r) {
		d, found := named[*appsv1.Deployment](r, h.Spec.ScaleTargetRef.Name)
		switch {
		case !found || h.Spec.ScaleTargetRef.Kind != "Deployment" || h.Spec.ScaleTargetRef.APIVersion != "apps/v1":
			faults = append(faults, fmt.Sprintf("HorizontalPodAutoscaler %s: there is no %s %s", h.Name, h.Spec.ScaleTargetRef.Kind, h.Spec.ScaleTargetRef.Name))
		case d.Spec.Replicas != nil:
			faults = append(faults, fmt.Sprintf("HorizontalPodAutoscaler %s: each upgrade sets the replicas of %s back", h.Name, d.Name))
		case h.Spec.MinReplicas != nil && *h.Spec.MinReplicas > h.Spec.MaxReplicas:
			faults = append(faults, fmt.Sprintf("HorizontalPodAutoscaler %s: the least is more than the most", h.Name))
		}
	}
	return faults
}

func falseRoutes(r *release) []string {
	var faults []string
	check := func(of, service, port string) {
		s, found := named[*corev1.Service](r, service)
		if !found || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port || portNumber(p.Port) == port }) {
			faults = append(faults, fmt.Sprintf("%s: there is no Service %s with port %s", of, service, port))
		}
		if component, _ := found, s; component && s.Labels["app.kubernetes.io/name"] != "gateway" && s.Labels["app.kubernetes.io/name"] != "jaeger" {
			faults = append(faults, fmt.Sprintf("%s: leads past the gateway to %s", of, service))
		}
	}
	for _, i := range all[*networkingv1.Ingress](r) {
		for _, rule := range i.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				port := path.Backend.Service.Port
				check("Ingress "+i.Name, path.Backend.Service.Name, (&intstr.IntOrString{Type: portType(port), IntVal: port.Number, StrVal: port.Name}).String())
			}
		}
	}
	for _, h := range all[*gatewayv1.HTTPRoute](r) {
		if len(h.Spec.ParentRefs) == 0 {
			faults = append(faults, fmt.Sprintf("HTTPRoute %s: it is attached to no Gateway", h.Name))
		}
		for _, rule := range h.Spec.Rules {
			for _, b := range rule.BackendRefs {
				check("HTTPRoute "+h.Name, string(b.Name), portNumber(*b.Port))
			}
		}
	}
	return faults
}

func portType(p networkingv1.ServiceBackendPort) intstr.Type {
	if p.Name != "" {
		return intstr.String
	}
	return intstr.Int
}

func falseMonitors(r *release) []string {
	var faults []string
	for _, m := range all[*monitoringv1.ServiceMonitor](r) {
		s, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
		for _, endpoint := range m.Spec.Endpoints {
			if err != nil || !slices.ContainsFunc(all[*corev1.Service](r), func(service *corev1.Service) bool {
				return s.Matches(labels.Set(service.Labels)) && slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == endpoint.Port })
			}) {
				faults = append(faults, fmt.Sprintf("ServiceMonitor %s: no Service has port %q", m.Name, endpoint.Port))
			}
		}
	}
	for _, m := range all[*monitoringv1.PodMonitor](r) {
		for _, endpoint := range m.Spec.PodMetricsEndpoints {
			if endpoint.Port == nil || !slices.ContainsFunc(selected(r, &m.Spec.Selector), func(w workload) bool { _, found := w.port(*endpoint.Port); return found }) {
				faults = append(faults, fmt.Sprintf("PodMonitor %s: no pod has its port", m.Name))
			}
		}
	}
	return faults
}
