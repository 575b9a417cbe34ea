package monitoring

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"gopkg.in/yaml.v3"
)

// alerts are the rules of a stack and of the operator, as Prometheus itself reads them.
func alerts(t *testing.T, args ...string) map[string]rulefmt.Rule {
	t.Helper()
	all := map[string]rulefmt.Rule{}
	collect(t, all, render(t, args...))
	collect(t, all, renderChart(t, "noteworks-operator"))
	return all
}

// alertsOf are those of one chart.
func alertsOf(t *testing.T, chart string) map[string]rulefmt.Rule {
	t.Helper()
	all := map[string]rulefmt.Rule{}
	collect(t, all, renderChart(t, chart))
	return all
}

func collect(t *testing.T, all map[string]rulefmt.Rule, objects []map[string]any) {
	t.Helper()
	spec, err := yaml.Marshal(one(t, objects, "PrometheusRule", "-alerts")["spec"])
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Errorf("Prometheus would refuse the rules: %v", err)
	}
	if groups == nil {
		t.FailNow()
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if _, twice := all[r.Alert]; twice {
				t.Errorf("two alerts are called %s", r.Alert)
			}
			all[r.Alert] = r
		}
	}
}

func TestAlertsAskForWhatIsThereAndSayWhatToDo(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	played, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	known, all := inventory(t), alerts(t)
	for name, rule := range all {
		for _, fault := range faults(rule.Expr, known) {
			t.Errorf("%s: %s\n\t%s", name, fault, rule.Expr)
		}
		if s := rule.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: its severity is %q", name, s)
		}
		for _, said := range []string{"summary", "description"} {
			if len(rule.Annotations[said]) < 15 {
				t.Errorf("%s: its %s is %q", name, said, rule.Annotations[said])
			}
		}
		if want := "#" + strings.ToLower(name); !strings.HasSuffix(rule.Annotations["runbook_url"], want) {
			t.Errorf("%s: its runbook is %s", name, rule.Annotations["runbook_url"])
		}
		if !strings.Contains(string(runbook), "\n### "+name+"\n") {
			t.Errorf("%s: docs/monitoring.md does not say what to do", name)
		}
		if !strings.Contains(string(played), "| "+name+" |") {
			t.Errorf("%s: docs/faults.md does not say in which fault it fires, or why in none", name)
		}
		for _, fault := range unknownLabels(rule, known) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Noteworks\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		if _, ok := all[heading[1]]; !ok {
			t.Errorf("docs/monitoring.md explains %s, which is no alert", heading[1])
		}
	}
}

// unknownLabels finds labels in what an alert says that its query does not keep.
func unknownLabels(rule rulefmt.Rule, known map[string]metric) []string {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	if err != nil {
		return nil // said elsewhere
	}
	var kept []string
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			kept = append(kept, a.Grouping...)
		}
		if v, ok := n.(*parser.VectorSelector); ok && !slices.ContainsFunc(path, func(p parser.Node) bool { _, ok := p.(*parser.AggregateExpr); return ok }) {
			kept = append(kept, append(known[v.Name].labels, targets()...)...)
		}
		return nil
	})
	var faults []string
	for _, text := range rule.Annotations {
		for _, used := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(kept, used[1]) {
				faults = append(faults, fmt.Sprintf("it speaks of the label %s, which its query does not keep", used[1]))
			}
		}
	}
	return faults
}

func TestAlertsOfTracesCameWithJaegerOnly(t *testing.T) {
	t.Parallel()
	if _, ok := alerts(t, "--set", "jaeger.enabled=false,global.tracing.enabled=false")["NoteworksSpansRefused"]; ok {
		t.Error("there is an alert about a Jaeger that is not there")
	}
}

// forOf is how long an alert's query has to hold.
func forOf(r rulefmt.Rule) time.Duration { return time.Duration(r.For) }
