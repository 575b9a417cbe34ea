package server

import (
	"strings"
	"testing"
)

func required() []string {
	return []string{
		"OPERATOR_NAMESPACE=noteworks-operator", "OPERATOR_SERVICE_ACCOUNT=noteworks-operator",
		"PLATFORM_RELEASE=noteworks", "PLATFORM_NAMESPACE=noteworks", "BASE_DOMAIN=notes.example.org",
	}
}

func TestTheSettingsOfTheChartAreUnderstood(t *testing.T) {
	t.Parallel()
	c, err := Load(append(required(),
		"ROUTE_KIND=httproute", `ROUTE_PARENT_REFS=[{"name":"public","namespace":"infra"}]`, `ROUTE_ANNOTATIONS={"a":"b"}`,
		"STACK_VALUES=global:\n  trustedProxies: [10.0.0.0/8]\n", "IMAGE_PULL_SECRETS=one,two", "LOG_LEVEL=DEBUG", "PUBLIC_PORT=", "USAGE_INTERVAL=5s"))
	if err != nil {
		t.Fatal(err)
	}
	if c.RouteParentRefs[0].Name != "public" || c.RouteAnnotations["a"] != "b" || c.StackValues["global"] == nil || len(c.ImagePullSecrets) != 2 {
		t.Errorf("read as %+v", c)
	}
	if at := c.controller().Platform; at.URL != "http://noteworks-user.noteworks.svc:8082" || at.Audience != "noteworks-user" {
		t.Errorf("the platform is at %+v", at)
	}
}

func TestAWrongSettingIsNamedWithWhatItShouldBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ setting, should string }{
		{"OPERATOR_NAMESPACE=", "the namespace that the operator runs in"},
		{"BASE_DOMAIN=https://x", "a domain such as"},
		{"PUBLIC_SCHEME=ftp", "http or https"},
		{"PUBLIC_PORT=secret", "a port"},
		{"PUBLIC_PORT=70000", "a port"},
		{"ROUTE_KIND=gateway", "none, httproute or ingress"},
		{"ROUTE_KIND=httproute", "ParentReferences as JSON"},
		{"ROUTE_PARENT_REFS=secret", "ParentReferences as JSON"},
		{"ROUTE_PARENT_REFS=[{}]", "ParentReferences as JSON"},
		{"ROUTE_ANNOTATIONS=[]", "annotations as JSON"},
		{"STACK_VALUES=- secret", "values of the chart"},
		{"IMAGE_PULL_POLICY=secret", "Always, IfNotPresent or Never"},
		{"UPGRADE_AT_ONCE=0", "at least 1"},
		{"UPGRADE_TIMEOUT=secret", "a duration"},
		{"USAGE_INTERVAL=1ms", "a duration of at least 1s"},
		{"RESYNC=0s", "a duration of at least 1m"},
		{"WORKERS=0", "at least 1"},
		{"DELETION_TIMEOUT=0s", "a duration above 0"},
		{"METRICS_ADDR=8083", "an address such as :8083"},
		{"LEADER_ELECTION=secret", "true or false"},
		{"LOG_LEVEL=secret", "DEBUG, INFO, WARN or ERROR"},
		{"PLATFORM_RPC_URL=secret", "URL"},
		{"OTEL_TRACES_EXPORTER=secret", "otlp or none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=secret", "a URL such as"},
		{"OTEL_TRACES_SAMPLER=secret", "always_on"},
		{"OTEL_TRACES_SAMPLER_ARG=2", "from 0 to 1"},
		{"OTEL_RESOURCE_ATTRIBUTES=secret", "key=value"},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			_, err := Load(append(required(), c.setting))
			name, value, _ := strings.Cut(c.setting, "=")
			if name == "ROUTE_KIND" && value == "httproute" {
				name = "ROUTE_PARENT_REFS"
			}
			if err == nil || !strings.Contains(err.Error(), name+" ") || !strings.Contains(err.Error(), c.should) {
				t.Fatalf("it says %v", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("it tells the value: %v", err)
			}
		})
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Load([]string{"LOG_LEVEL=loud"})
	for _, name := range []string{"OPERATOR_NAMESPACE", "OPERATOR_SERVICE_ACCOUNT", "PLATFORM_RELEASE", "PLATFORM_NAMESPACE", "BASE_DOMAIN", "LOG_LEVEL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in: %v", name, err)
		}
	}
}
