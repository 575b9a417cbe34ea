package charts

import (
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func repeatedEnvironment(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		for _, c := range w.containers() {
			var names []string
			for _, e := range c.Env {
				names = append(names, e.Name)
			}
			for _, name := range repeated(names) {
				fault("container %s sets %s twice", c.Name, name)
			}
			for _, name := range names {
				if contains(names, name+"_FILE") {
					fault("container %s sets %s and %s_FILE, which are one setting", c.Name, name, name)
				}
			}
		}
	})
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// repeatedPorts wants names and numbers of ports to be unique in a pod, not only in a container: a Service cannot tell them apart.
func repeatedPorts(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		var names, numbers, containers []string
		for _, c := range w.containers() {
			containers = append(containers, c.Name)
			for _, p := range c.Ports {
				names = append(names, p.Name)
				numbers = append(numbers, string(p.Protocol)+" "+portNumber(p.ContainerPort))
			}
		}
		for _, again := range [][]string{names, numbers, containers} {
			for _, name := range repeated(again) {
				fault("%q is there twice", name)
			}
		}
	})
}

// unrestrictedPods asks the admission plugin's own policies.
func unrestrictedPods(r *release) []string {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &w.template.ObjectMeta, &w.template.Spec))
		if !result.Allowed {
			fault("%s", result.ForbiddenDetail())
		}
	})
}

func unconfinedContainers(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		for _, c := range w.containers() {
			if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
				fault("container %s may write to its image", c.Name)
			}
			for _, bound := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				request, limit := c.Resources.Requests[bound], c.Resources.Limits[bound]
				switch {
				case request.IsZero():
					fault("container %s requests no %s", c.Name, bound)
				case bound == corev1.ResourceMemory && limit.IsZero():
					fault("container %s has no limit of %s", c.Name, bound)
				}
			}
			for resource, request := range c.Resources.Requests {
				if limit, bounded := c.Resources.Limits[resource]; bounded && limit.Cmp(request) < 0 {
					fault("container %s requests more %s than its limit", c.Name, resource)
				}
			}
			if _, version, found := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":"); !found || version == "" || version == "latest" {
				fault("container %s runs %q, which may be another image tomorrow", c.Name, c.Image)
			}
		}
		for _, v := range w.template.Spec.Volumes {
			if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
				fault("volume %s may fill the node", v.Name)
			}
		}
	})
}

// unaskedTokens wants tokens to be projected, with an audience, where they are used.
func unaskedTokens(r *release) []string {
	faults := faultsOf(r, func(w workload, fault func(string, ...any)) {
		if mount := w.template.Spec.AutomountServiceAccountToken; mount == nil || *mount {
			fault("it mounts the API's token")
		}
		if links := w.template.Spec.EnableServiceLinks; links == nil || *links {
			fault("its environment is filled with the namespace's Services")
		}
		if w.template.Spec.ServiceAccountName == "" {
			fault("it runs as the namespace's default account")
		}
	})
	for _, account := range all[*corev1.ServiceAccount](r) {
		if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
			faults = append(faults, "ServiceAccount "+account.Name+": its token is mounted wherever it is used")
		}
	}
	return faults
}

// weakProbes wants a start that may take its time, a readiness, and a liveness that is something else: a pod that is not ready is left
// alone, one that is not alive is killed.
func weakProbes(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		if !w.serves() {
			return
		}
		for _, c := range w.template.Spec.Containers {
			if c.StartupProbe == nil || c.ReadinessProbe == nil || c.LivenessProbe == nil {
				fault("container %s lacks one of its three probes", c.Name)
				continue
			}
			if equality.Semantic.DeepEqual(c.ReadinessProbe.ProbeHandler, c.LivenessProbe.ProbeHandler) &&
				c.LivenessProbe.FailureThreshold <= c.ReadinessProbe.FailureThreshold {
				fault("container %s is killed for what should only take it out of service", c.Name)
			}
			for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if port := probePort(probe); port != "" && !declares(c, port) {
					fault("container %s is probed at port %s, which it does not have", c.Name, port)
				}
			}
		}
	})
}

func probePort(p *corev1.Probe) string {
	switch {
	case p.HTTPGet != nil:
		return p.HTTPGet.Port.String()
	case p.TCPSocket != nil:
		return p.TCPSocket.Port.String()
	case p.GRPC != nil:
		return portNumber(p.GRPC.Port)
	}
	return ""
}

func declares(c corev1.Container, port string) bool {
	for _, p := range c.Ports {
		if p.Name == port || portNumber(p.ContainerPort) == port {
			return true
		}
	}
	return false
}

// hastyRollouts wants the new pod before the old one goes, and time for the old one to end what it does: longer than its preStop hook
// and its own grace together.
func hastyRollouts(r *release) []string {
	faults := faultsOf(r, func(w workload, fault func(string, ...any)) {
		grace := 30 * time.Second
		if seconds := w.template.Spec.TerminationGracePeriodSeconds; seconds != nil {
			grace = time.Duration(*seconds) * time.Second
		}
		for _, c := range w.template.Spec.Containers {
			var needs time.Duration
			if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil {
				needs += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
			}
			for _, e := range c.Env {
				if own, err := time.ParseDuration(e.Value); e.Name == "SHUTDOWN_GRACE" && err == nil {
					needs += own
				}
			}
			if needs >= grace {
				fault("container %s needs %s to stop and is killed after %s", c.Name, needs, grace)
			}
		}
	})
	for _, d := range all[*appsv1.Deployment](r) {
		rolling := d.Spec.Strategy.RollingUpdate
		switch {
		case d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType && claimsVolume(d.Spec.Template.Spec):
			// A volume of one writer cannot be in two pods.
		case rolling == nil || rolling.MaxUnavailable == nil || rolling.MaxUnavailable.String() != "0":
			faults = append(faults, "Deployment "+d.Name+": a rollout may take a pod away before the next one is ready")
		}
	}
	return faults
}

func claimsVolume(pod corev1.PodSpec) bool {
	for _, v := range pod.Volumes {
		if v.PersistentVolumeClaim != nil {
			return true
		}
	}
	return false
}

func unspreadPods(r *release) []string {
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		if !w.serves() {
			return
		}
		if len(w.template.Spec.TopologySpreadConstraints) == 0 && w.replicas > 1 {
			fault("%d replicas may all end on one node", w.replicas)
		}
		for _, constraint := range w.template.Spec.TopologySpreadConstraints {
			if !reflect.DeepEqual(names(selected(r, constraint.LabelSelector)), []string{w.String()}) {
				fault("it is spread over %s among %v", constraint.TopologyKey, names(selected(r, constraint.LabelSelector)))
			}
		}
	})
}

func names(workloads []workload) []string {
	var found []string
	for _, w := range workloads {
		found = append(found, w.String())
	}
	return found
}
