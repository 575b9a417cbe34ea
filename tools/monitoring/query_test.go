package monitoring

import (
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// targets are labels that Prometheus and the PodMonitors add to every series.
func targets() []string { return []string{"namespace", "stack", "job", "pod", "instance", "container"} }

// faults are why a query would find nothing: it does not parse, or it asks for a metric or a label that is not there.
func faults(query string, known map[string]metric) []string {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, asked := range selectors(expr) {
		m, ok := known[asked.Name]
		if !ok {
			found = append(found, fmt.Sprintf("no service exposes %s", asked.Name))
			continue
		}
		for _, matcher := range asked.LabelMatchers {
			if matcher.Name != model.MetricNameLabel && !has(m, matcher.Name) {
				found = append(found, fmt.Sprintf("%s has no label %s", asked.Name, matcher.Name))
			}
		}
		if !stackOnly(asked) {
			found = append(found, fmt.Sprintf("%s mixes stacks: it has to name namespace and stack", asked.Name))
		}
	}
	return append(found, groupingFaults(expr, known)...)
}

func selectors(node parser.Node) []*parser.VectorSelector {
	var all []*parser.VectorSelector
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			all = append(all, v)
		}
		return nil
	})
	return all
}

// groupingFaults finds labels to aggregate by, or to look for in counters, that the series do not have, and rates of what is no counter.
func groupingFaults(expr parser.Expr, known map[string]metric) []string {
	var found []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			for _, label := range n.Grouping {
				for _, s := range selectors(n.Expr) {
					if m, ok := known[s.Name]; ok && !has(m, label) {
						found = append(found, fmt.Sprintf("by (%s): %s has no such label", label, s.Name))
					}
				}
			}
		case *parser.Call:
			counts := n.Func.Name == "rate" || n.Func.Name == "increase"
			for _, s := range selectors(n) {
				if m, ok := known[s.Name]; ok && counts && m.kind != "counter" {
					found = append(found, fmt.Sprintf("%s of %s, which is a %s", n.Func.Name, s.Name, m.kind))
				}
			}
		}
		return nil
	})
	return found
}

func has(m metric, label string) bool {
	return slices.Contains(m.labels, label) || slices.Contains(targets(), label)
}

func stackOnly(s *parser.VectorSelector) bool {
	named := map[string]bool{}
	for _, m := range s.LabelMatchers {
		named[m.Name] = m.Type == labels.MatchEqual
	}
	return named["namespace"] && named["stack"]
}
