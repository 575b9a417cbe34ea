package monitoring

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A metric is one of docs/metrics.md.
type metric struct {
	kind   string
	labels []string
}

var line = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\| ([a-z0-9_ ]*) \\|")

// inventory is what may be asked for: what the services expose, what every Go program does, and what we ask of Jaeger (as 2.13.0
// exposes it) and of the operator.
func inventory(t *testing.T) map[string]metric {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]metric{
		"go_goroutines":                         {kind: "gauge"},
		"process_cpu_seconds_total":             {kind: "counter"},
		"process_resident_memory_bytes":         {kind: "gauge"},
		"otelcol_receiver_accepted_spans_total": {"counter", []string{"receiver", "transport"}},
		"otelcol_receiver_refused_spans_total":  {"counter", []string{"receiver", "transport"}},

		"controller_runtime_reconcile_errors_total": {"counter", []string{"controller"}},
		"noteworks_operator_workspaces":             {"gauge", []string{"isolation", "ready", "reason"}},
	}
	for row := range strings.Lines(string(text)) {
		m := line.FindStringSubmatch(row)
		if m == nil {
			continue
		}
		found := metric{m[2], strings.Fields(m[3])}
		if found.kind != "histogram" {
			all[m[1]] = found
			continue
		}
		all[m[1]+"_count"], all[m[1]+"_sum"] = metric{"counter", found.labels}, metric{"counter", found.labels}
		all[m[1]+"_bucket"] = metric{"counter", append([]string{"le"}, found.labels...)}
	}
	if len(all) < 40 {
		t.Fatalf("docs/metrics.md has only %d metrics: has its form changed?", len(all))
	}
	return all
}
