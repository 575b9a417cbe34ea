package monitoring

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"testing"

	"gopkg.in/yaml.v3"
)

// render is what `helm template` makes of the umbrella chart with all of monitoring on.
func render(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	return renderChart(t, "noteworks", args...)
}

func renderChart(t *testing.T, chart string, args ...string) []map[string]any {
	t.Helper()
	all := append([]string{"template", "noteworks", "../../charts/" + chart, "--namespace", "team",
		"--set", "global.monitoring.serviceMonitor=true,global.monitoring.prometheusRules=true,global.monitoring.grafanaDashboard=true"}, args...)
	cmd := exec.Command("../../.tools/bin/helm", all...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("helm template (make tools builds helm): %v\n%s", err, stderr.String())
	}
	var objects []map[string]any
	for decoder := yaml.NewDecoder(bytes.NewReader(out)); ; {
		var object map[string]any
		switch err := decoder.Decode(&object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatal(err)
		case object != nil:
			objects = append(objects, object)
		}
	}
}

// one is the only object of a kind whose name ends so.
func one(t *testing.T, objects []map[string]any, kind, suffix string) map[string]any {
	t.Helper()
	for _, o := range objects {
		meta, _ := o["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		if o["kind"] == kind && len(name) >= len(suffix) && name[len(name)-len(suffix):] == suffix {
			return o
		}
	}
	t.Fatalf("the chart makes no %s …%s", kind, suffix)
	return nil
}
