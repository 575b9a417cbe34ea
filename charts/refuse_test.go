package charts

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/strvals"
)

// What is wrong is refused before anything is sent to a cluster, by its path and with what is allowed.
func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	const sub = Umbrella + "/charts/"
	for _, c := range []struct {
		name, chart, set string
		says             []string
	}{
		{"a key that nobody knows", Umbrella, "replicas=2", []string{"replicas", "not allowed"}},
		{"a key that nobody knows, of a subchart", Umbrella, "user.replica=2", []string{"user", "replica", "not allowed"}},
		{"a key that nobody knows, deep in a subchart", Umbrella, "user.database.secret=x", []string{"/database", "secret", "not allowed"}},
		{"a global key that nobody knows", Umbrella, "global.domain=example.org", []string{"/global", "domain", "not allowed"}},
		{"a switch that is a word", Umbrella, "global.tracing.enabled=maybe", []string{"/global/tracing/enabled", "boolean"}},
		{"more than every trace", Umbrella, "global.tracing.sampleRatio=2", []string{"/global/tracing/sampleRatio", "maximum", "1"}},
		{"two NATS servers, which cannot agree", Umbrella, "global.nats.replicas=2", []string{"/global/nats/replicas", "1", "3"}},
		{"a pull policy that Kubernetes has not", Umbrella, "global.imagePullPolicy=Sometimes", []string{"/global/imagePullPolicy", "IfNotPresent"}},

		{"a number that is a word", sub + "user", "replicas=two", []string{"/replicas", "integer"}},
		{"fewer pods than none", sub + "user", "replicas=-1", []string{"/replicas", "minimum"}},
		{"a percentage of more than all", sub + "user", "autoscaling.targetCPUUtilizationPercentage=101", []string{"/autoscaling/targetCPUUtilizationPercentage", "maximum"}},
		{"an unknown key", sub + "note", "autoscaler.enabled=true", []string{"autoscaler", "not allowed"}},
		{"a word that is none of the three", sub + "note", "image.pullPolicy=always", []string{"/image/pullPolicy", "Always"}},
		{"a spread that Kubernetes has not", sub + "note", "topologySpread.nodes=Sometimes", []string{"/topologySpread/nodes", "ScheduleAnyway", "DoNotSchedule"}},
		{"a port beyond the last", sub + "gateway", "service.port=65536", []string{"/service/port", "maximum"}},
		{"a type of Service that there is not", sub + "gateway", "service.type=External", []string{"/service/type", "ClusterIP", "LoadBalancer"}},
		{"a list that is a word", sub + "gateway", "ingress.hosts=example.org", []string{"/ingress/hosts", "array"}},
		{"a size that is none", sub + "nats", "jetstream.maxMemory=much", []string{"/jetstream/maxMemory", "pattern"}},
		{"an unknown key of the queue", sub + "nats", "jetstream.maxDisk=1Gi", []string{"/jetstream", "maxDisk", "not allowed"}},
		{"a database of a kind that there is not", sub + "postgres", "mode=oracle", []string{"/mode", "cloudnativepg"}},
		{"a volume without a unit that Kubernetes knows", sub + "postgres", "persistence.size=8GB", []string{"/persistence/size", "pattern"}},
		{"a storage that Jaeger's chart has not", sub + "jaeger", "storage.type=cassandra", []string{"/storage/type", "memory", "badger"}},
		{"an unknown key of Jaeger", sub + "jaeger", "storage.badger.volume=1Gi", []string{"/storage/badger", "volume", "not allowed"}},

		{"spans without a place to go", Umbrella, "jaeger.enabled=false", []string{"global.tracing.enabled", "global.tracing.endpoint", "jaeger.enabled"}},
		{"services without NATS", Umbrella, "nats.enabled=false", []string{"global.nats.url"}},
		{"services without a password for NATS", Umbrella, "nats.enabled=false,global.nats.url=nats://nats.infra:4222", []string{"user.nats.existingSecret"}},
		{"another name for a chart that others look for", Umbrella, "note.nameOverride=notes", []string{"note.nameOverride", "name of the release"}},
		{"services without a database", Umbrella, "postgres.enabled=false", []string{"user.database.existingSecret"}},
		{"a route for each workspace without a Gateway", Operator, "route.kind=httproute", []string{"route.parentRefs"}},
		{"a kind of route that there is not", Operator, "route.kind=mesh", []string{"/route/kind", "httproute", "ingress"}},
		{"an interval without a unit", Operator, "usageInterval=60", []string{"/usageInterval", "string"}},
		{"a wave of nothing", Operator, "stacks.upgrade.atOnce=0", []string{"/stacks/upgrade/atOnce", "minimum"}},
		{"an unknown key of the operator", Operator, "leaderElection=false", []string{"leaderElection", "not allowed"}},
		{"an unknown key of the definition", CRDs, "keeep=false", []string{"keeep", "not allowed"}},
		{"a route without a Gateway", sub + "gateway", "route.enabled=true", []string{"route.parentRefs"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			values, err := strvals.Parse(c.set)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, install{chart: c.chart, values: values}, c.says...)
		})
	}
}

// refused wants an install to fail, in words that hold these.
func refused(t *testing.T, in install, says ...string) {
	t.Helper()
	_, err := render(in)
	if err == nil {
		t.Fatalf("%v was taken", in.values)
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: nothing of %q in: %v", in.values, word, err)
		}
	}
}

// Helm gives every subchart the umbrella's globals, and people put their own into global for their own charts.
func TestForeignGlobalsAreTakenByASubchart(t *testing.T) {
	t.Parallel()
	for _, chart := range chartFolders(t)[1:] {
		t.Run(chart, func(t *testing.T) {
			t.Parallel()
			rendered(t, install{chart: chart, values: map[string]any{"global": map[string]any{"ourCompany": map[string]any{"team": "a"}}}})
		})
	}
}
