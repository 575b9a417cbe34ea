package charts

import (
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A sabotage breaks a good release in one place; the rule named in `breaks` must say so, with `says` in its words.
type sabotage struct {
	name   string
	breaks string
	does   func(*broken)
	says   string
}

// broken is a good release under the hands of a sabotage.
type broken struct {
	*release
	t *testing.T
}

func (b *broken) get(name string, is func(object) bool) object {
	b.t.Helper()
	for _, o := range b.objects {
		if is(o) && o.meta().GetName() == name {
			return o
		}
	}
	b.t.Fatalf("the release has no such %s", name)
	return object{}
}

func pick[T interface {
	metav1.Object
}](b *broken, name string) T {
	b.t.Helper()
	found := b.get(name, func(o object) bool { _, is := o.Object.(T); return is })
	return found.Object.(T)
}

func (b *broken) note() *appsv1.Deployment {
	b.t.Helper()
	return pick[*appsv1.Deployment](b, "noteworks-note")
}

func (b *broken) pod() *corev1.PodSpec { return &b.note().Spec.Template.Spec }

func (b *broken) container() *corev1.Container { return &b.pod().Containers[0] }

func sabotages() []sabotage {
	return slices.Concat(sabotagesOfNames(), sabotagesOfPods(), sabotagesOfReferences(), sabotagesOfTheNetwork(), sabotagesOfCompany())
}

func sabotagesOfNames() []sabotage {
	return []sabotage{
		{"an object comes twice", "no two objects share a name", func(b *broken) {
			b.objects = append(b.objects, b.objects[0])
		}, "team/"},
		{"a name is too long for a host name", "names and labels are valid", func(b *broken) {
			pick[*corev1.Service](b, "noteworks-note").Name = strings.Repeat("n", 64)
		}, "63"},
		{"a label's value has a space", "names and labels are valid", func(b *broken) {
			b.note().Labels["a"] = "not valid"
		}, "label a="},
		{"an object goes to another namespace", "names and labels are valid", func(b *broken) {
			b.note().Namespace = "kube-system"
		}, "kube-system"},
		{"a port's name is too long", "names and labels are valid", func(b *broken) {
			b.container().Ports[0].Name = "a-port-with-a-name"
		}, "a-port-with-a-name"},
		{"an object does not say its version", "objects say what they belong to", func(b *broken) {
			delete(b.note().Labels, "app.kubernetes.io/version")
		}, "app.kubernetes.io/version"},
		{"a selector holds the version", "selectors hold what never changes", func(b *broken) {
			b.note().Spec.Selector.MatchLabels["helm.sh/chart"] = "note-0.1.0"
		}, "helm.sh/chart"},
		{"a deployment does not select its pods", "workloads select their own pods and no others", func(b *broken) {
			b.note().Spec.Selector.MatchLabels["app.kubernetes.io/name"] = "notes"
		}, "its own pods"},
		{"a deployment selects another's pods", "workloads select their own pods and no others", func(b *broken) {
			delete(b.note().Spec.Selector.MatchLabels, "app.kubernetes.io/name")
		}, "Deployment noteworks-user"},
	}
}

func sabotagesOfPods() []sabotage {
	return []sabotage{
		{"replicas are not spread", "replicas are spread", func(b *broken) {
			b.pod().TopologySpreadConstraints, b.note().Spec.Replicas = nil, ptr.To[int32](2)
		}, "one node"},
		{"replicas are spread among others", "replicas are spread", func(b *broken) {
			delete(b.pod().TopologySpreadConstraints[0].LabelSelector.MatchLabels, "app.kubernetes.io/name")
		}, "among"},
		{"a variable comes twice", "an environment variable is set once", func(b *broken) {
			b.container().Env = append(b.container().Env, b.container().Env[0])
		}, "twice"},
		{"a variable comes as a value and as a file", "an environment variable is set once", func(b *broken) {
			b.container().Env = append(b.container().Env, corev1.EnvVar{Name: "DATABASE_URL"})
		}, "one setting"},
		{"a port's name comes twice", "a pod's ports differ", func(b *broken) {
			b.container().Ports[1].Name = b.container().Ports[0].Name
		}, "twice"},
		{"a port's number comes twice", "a pod's ports differ", func(b *broken) {
			b.container().Ports[1].ContainerPort = b.container().Ports[0].ContainerPort
		}, "twice"},
		{"a pod may be root", "pods meet the restricted Pod Security Standard", func(b *broken) {
			b.pod().SecurityContext.RunAsNonRoot, b.container().SecurityContext.RunAsNonRoot = nil, nil
		}, "runAsNonRoot"},
		{"an init container keeps its capabilities", "pods meet the restricted Pod Security Standard", func(b *broken) {
			b.pod().InitContainers[0].SecurityContext.Capabilities = nil
		}, "capabilities"},
		{"a pod has a folder of the node", "pods meet the restricted Pod Security Standard", func(b *broken) {
			b.pod().Volumes = append(b.pod().Volumes, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
		}, "hostPath"},
		{"a container may write", "containers write nowhere but in volumes, and are bounded", func(b *broken) {
			b.container().SecurityContext.ReadOnlyRootFilesystem = nil
		}, "may write"},
		{"a container has no limit of memory", "containers write nowhere but in volumes, and are bounded", func(b *broken) {
			delete(b.container().Resources.Limits, corev1.ResourceMemory)
		}, "memory"},
		{"a container requests more than it may have", "containers write nowhere but in volumes, and are bounded", func(b *broken) {
			b.container().Resources.Requests[corev1.ResourceEphemeralStorage] = resource.MustParse("1Ti")
		}, "more ephemeral-storage"},
		{"an image's tag moves", "containers write nowhere but in volumes, and are bounded", func(b *broken) {
			b.container().Image = "registry.example.org:5000/noteworks/note"
		}, "tomorrow"},
		{"a pod mounts a token", "pods hold no token of the API unless they say which", func(b *broken) {
			b.pod().AutomountServiceAccountToken = nil
		}, "token"},
		{"an account mounts a token", "pods hold no token of the API unless they say which", func(b *broken) {
			pick[*corev1.ServiceAccount](b, "noteworks-note").AutomountServiceAccountToken = ptr.To(true)
		}, "ServiceAccount noteworks-note"},
		{"a probe is missing", "probes differ and reach a port", func(b *broken) {
			b.container().StartupProbe = nil
		}, "lacks"},
		{"a pod is killed when its database is away", "probes differ and reach a port", func(b *broken) {
			b.container().LivenessProbe = b.container().ReadinessProbe
		}, "killed"},
		{"a probe asks a port that is not there", "probes differ and reach a port", func(b *broken) {
			b.container().ReadinessProbe.HTTPGet.Port = intstr.FromString("op")
		}, "port op"},
		{"a rollout takes before it gives", "a rollout takes nothing away before its time", func(b *broken) {
			b.note().Spec.Strategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromString("25%"))
		}, "rollout"},
		{"a pod is killed while it drains", "a rollout takes nothing away before its time", func(b *broken) {
			b.pod().TerminationGracePeriodSeconds = ptr.To[int64](10)
		}, "killed after 10s"},
	}
}

func sabotagesOfReferences() []sabotage {
	return []sabotage{
		{"a secret is not there", "references resolve", func(b *broken) {
			b.pod().Volumes = append(b.pod().Volumes, corev1.Volume{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none"}}})
		}, "no Secret none"},
		{"a secret has not the key", "references resolve", func(b *broken) {
			b.container().Env = append(b.container().Env, corev1.EnvVar{Name: "S", ValueFrom: &corev1.EnvVarSource{
				SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "noteworks-postgres-note"}, Key: "uri"},
			}})
		}, "key uri"},
		{"an account is not there", "references resolve", func(b *broken) { b.pod().ServiceAccountName = "nobody" }, "ServiceAccount nobody"},
		{"a mount has no volume", "volumes are mounted and mounts have volumes", func(b *broken) {
			b.container().VolumeMounts[0].Name = "none"
		}, "no volume of the pod"},
		{"a volume is not mounted", "volumes are mounted and mounts have volumes", func(b *broken) {
			b.pod().Volumes = append(b.pod().Volumes, corev1.Volume{Name: "idle"})
		}, "nothing mounts idle"},
		{"an address names no service", "addresses lead to services", func(b *broken) {
			b.container().Env = append(b.container().Env, corev1.EnvVar{Name: "A", Value: "http://noteworks-users:8082"})
		}, "noteworks-users"},
		{"an address names another port", "addresses lead to services", func(b *broken) {
			b.container().Env = append(b.container().Env, corev1.EnvVar{Name: "A", Value: "http://noteworks-user:8090"})
		}, "8090"},
		{"a setting is misspelt", "settings are ones that the program reads", func(b *broken) {
			b.container().Env = append(b.container().Env, corev1.EnvVar{Name: "TRASH_RETENSION", Value: "1h"})
		}, "TRASH_RETENSION"},
		{"a password stands in a variable", "what is secret stands in Secrets only", func(b *broken) {
			password := secretData(b.release)["noteworks-nats-note"]["password"]
			b.container().Env = append(b.container().Env, corev1.EnvVar{Name: "P", Value: "a:" + password})
		}, "Deployment noteworks-note"},
		{"a dashboard is no JSON", "configuration files are well formed", func(b *broken) {
			all[*corev1.ConfigMap](b.release)[0].Data["dashboard.json"] = "{"
		}, "dashboard.json"},
		{"NATS cannot read its configuration", "configuration files are well formed", func(b *broken) {
			pick[*corev1.ConfigMap](b, "noteworks-nats").Data["nats.conf"] = "jetstream {\n  store_dir: /data\n"
		}, "nats.conf"},
		{"a role allows everything", "roles allow what is needed and no more", func(b *broken) {
			b.objects = append(b.objects, object{"", &rbacv1.ClusterRole{
				Rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
			}})
		}, "wildcard"},
		{"a stranger is given rights", "references resolve", func(b *broken) {
			b.objects = append(b.objects, object{"", &rbacv1.ClusterRoleBinding{
				RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "admin"}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "x", Namespace: "y"}},
			}})
		}, "no pod runs as ServiceAccount y/x"},
		{"the notes show a password", "what is secret stands in Secrets only", func(b *broken) {
			b.notes = secretData(b.release)["noteworks-nats-note"]["password"]
		}, "notes"},
	}
}

func sabotagesOfTheNetwork() []sabotage {
	policy := func(b *broken) *networkingv1.NetworkPolicy {
		b.t.Helper()
		return pick[*networkingv1.NetworkPolicy](b, "noteworks-note")
	}
	return []sabotage{
		{"a service selects no pod", "services reach pods", func(b *broken) {
			pick[*corev1.Service](b, "noteworks-note").Spec.Selector["app.kubernetes.io/name"] = "notes"
		}, "selects no pod"},
		{"a service leads to no port", "services reach pods", func(b *broken) {
			pick[*corev1.Service](b, "noteworks-note").Spec.Ports[0].TargetPort = intstr.FromString("web")
		}, "port web"},
		{"a service is open to the outside", "services reach pods", func(b *broken) {
			pick[*corev1.Service](b, "noteworks-note").Spec.Type = corev1.ServiceTypeNodePort
		}, "outside"},
		{"a stateful set has no service", "services reach pods", func(b *broken) {
			pick[*appsv1.StatefulSet](b, "noteworks-nats").Spec.ServiceName = "nats"
		}, "headless"},
		{"pods are not closed", "network policies state real edges, at both ends", func(b *broken) {
			policy(b).Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}, "closes its Egress"},
		{"an edge is not let in", "network policies state real edges, at both ends", func(b *broken) {
			policy(b).Spec.Ingress = nil
		}, "gateway -> note:8081 is let out and not let in"},
		{"an edge is not let out", "network policies state real edges, at both ends", func(b *broken) {
			policy(b).Spec.Egress = nil
		}, "note -> postgres:5432 is let in and not let out"},
		{"a policy opens a port that is not there", "network policies state real edges, at both ends", func(b *broken) {
			policy(b).Spec.Ingress[0].Ports[0].Port = ptr.To(intstr.FromInt32(9999))
		}, "no pod has port 9999"},
		{"a policy names nobody", "network policies state real edges, at both ends", func(b *broken) {
			policy(b).Spec.Ingress[0].From = []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mail"}}}}
		}, "not there"},
		{"a policy selects nobody", "network policies state real edges, at both ends", func(b *broken) {
			policy(b).Spec.PodSelector.MatchLabels["app.kubernetes.io/name"] = "notes"
		}, "selects no pod"},
	}
}

func sabotagesOfCompany() []sabotage {
	budget := func(b *broken) *policyv1.PodDisruptionBudgetSpec {
		b.t.Helper()
		return &pick[*policyv1.PodDisruptionBudget](b, "noteworks-note").Spec
	}
	return []sabotage{
		{"a budget protects nobody", "disruption budgets protect and do not block", func(b *broken) {
			budget(b).Selector.MatchLabels["app.kubernetes.io/name"] = "notes"
		}, "protects []"},
		{"a budget blocks every drain", "disruption budgets protect and do not block", func(b *broken) {
			budget(b).MaxUnavailable = ptr.To(intstr.FromInt32(0))
		}, "drained"},
		{"replicas have no budget", "disruption budgets protect and do not block", func(b *broken) {
			b.note().Spec.Replicas = ptr.To[int32](3)
			b.objects = slices.DeleteFunc(b.objects, func(o object) bool { return o.String() == "PodDisruptionBudget noteworks-note" })
		}, "all 3 replicas"},
		{"an autoscaler has no target", "autoscalers have their target to themselves", func(b *broken) {
			pick[*autoscalingv2.HorizontalPodAutoscaler](b, "noteworks-note").Spec.ScaleTargetRef.Name = "note"
		}, "there is no"},
		{"an upgrade undoes the autoscaler", "autoscalers have their target to themselves", func(b *broken) {
			b.note().Spec.Replicas = ptr.To[int32](2)
		}, "sets the replicas"},
		{"a route leads nowhere", "routes lead to services", func(b *broken) {
			pick[*gatewayv1.HTTPRoute](b, "noteworks-gateway").Spec.Rules[0].BackendRefs[0].Name = "gate"
		}, "Service gate"},
		{"a route leads past the gateway", "routes lead to services", func(b *broken) {
			backend := &pick[*gatewayv1.HTTPRoute](b, "noteworks-gateway").Spec.Rules[0].BackendRefs[0]
			backend.Name, backend.Port = "noteworks-note", ptr.To[gatewayv1.PortNumber](8081)
		}, "past the gateway"},
		{"an ingress leads to another port", "routes lead to services", func(b *broken) {
			pick[*networkingv1.Ingress](b, "noteworks-gateway").Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port = networkingv1.ServiceBackendPort{Number: 81}
		}, "port 81"},
		{"a monitor watches nothing", "monitors find what they watch", func(b *broken) {
			pods, services := all[*monitoringv1.PodMonitor](b.release), all[*monitoringv1.ServiceMonitor](b.release)
			for _, m := range pods {
				m.Spec.PodMetricsEndpoints[0].Port = ptr.To("metric")
			}
			for _, m := range services {
				m.Spec.Endpoints[0].Port = "metric"
			}
			if len(pods)+len(services) == 0 {
				b.t.Fatal("the release has no monitor")
			}
		}, "Monitor"},
	}
}

// everything switches on what is off by default, so that each rule has something to look at.
func everything() map[string]any {
	on := map[string]any{"enabled": true}
	return map[string]any{
		"global": map[string]any{"monitoring": map[string]any{"serviceMonitor": true, "prometheusRules": true, "grafanaDashboard": true}},
		"note":   map[string]any{"autoscaling": on},
		"gateway": map[string]any{
			"ingress": on,
			"route":   map[string]any{"enabled": true, "parentRefs": []any{map[string]any{"name": "public"}}},
		},
	}
}

func (r *release) copied() *release {
	copied := *r
	copied.objects = nil
	for _, o := range r.objects {
		copied.objects = append(copied.objects, object{o.template, o.DeepCopyObject()})
	}
	return &copied
}

func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	t.Parallel()
	good := rendered(t, install{values: everything()})
	tried := map[string]bool{"the API's types take every document, strictly": true} // TestDocumentsAreReadStrictly
	for _, s := range sabotages() {
		tried[s.breaks] = true
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := &broken{good.copied(), t}
			i := slices.IndexFunc(rules(), func(r rule) bool { return r.says == s.breaks })
			if i < 0 {
				t.Fatalf("there is no rule %q", s.breaks)
			}
			check := rules()[i].faults
			if before := strings.Join(check(b.release), "\n"); strings.Contains(before, s.says) {
				t.Fatalf("it is broken from the start:\n%s", before)
			}
			b.values = nil // who breaks it says nothing in values
			s.does(b)
			if after := strings.Join(check(b.release), "\n"); !strings.Contains(after, s.says) {
				t.Errorf("nobody noticed; the rule says: %q", after)
			}
		})
	}
	for _, r := range rules() {
		if !tried[r.says] {
			t.Errorf("no sabotage breaks %q", r.says)
		}
	}
}

func TestDocumentsAreReadStrictly(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an unknown field":          "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatas: {}\n",
		"a field twice":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\ndata: {a: c}\n",
		"a number where text goes":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 1}\n",
		"a kind that nobody knows":  "apiVersion: v1\nkind: ConfigMaps\nmetadata: {name: a}\n",
		"an old version of a kind":  "apiVersion: policy/v1beta9\nkind: PodDisruptionBudget\nmetadata: {name: a}\n",
		"an unknown database field": "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: a}\nspec: {instances: 3, instance: 1}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &release{}
			if err := r.decode(types(), "a.yaml", text); err == nil && len(r.refused) == 0 {
				t.Errorf("it was taken: %v", r.objects)
			}
		})
	}
}
