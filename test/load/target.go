package main

import (
	"fmt"
	"strings"

	"noteworks.dev/test/load/measure"
)

// target is what was promised about one thing, and how a result is held against it.
type target struct {
	what, want, workload string
	// judge answers what was measured; false for ok when the result does not say.
	judge func(r *measure.Result) (measured string, met, ok bool)
}

func targets() []target {
	return []target{
		{"1,000 changes a second, request to screen", "p50 ≤ 2 ms, p99 ≤ 8 ms", "rates", func(r *measure.Result) (string, bool, bool) {
			v, ok := valuesOf(r, thousands(1000))
			return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", v["p50"], v["p99"]), v["p50"] <= 2 && v["p99"] <= 8, ok
		}},
		{"highest rate with p99 ≤ 20 ms, nothing lost or out of order", "≥ 4,000 a second", "rates", figure(highest, "%.0f a second", func(v float64) bool { return v >= 4000 })},
		{"CPU of a durable, delivered change at 4,000 a second", "≤ 350 µs", "rates", func(r *measure.Result) (string, bool, bool) {
			v, ok := valuesOf(r, thousands(4000))
			return fmt.Sprintf("%.0f µs (PostgreSQL %.0f)", v["cpu"], v["database"]), v["cpu"] <= 350, ok
		}},
		{"memory of the process for an idle live socket, at 18,000", "≤ 8 kB", "idle", figure("kB of a socket", "%.1f kB", func(v float64) bool { return v <= 8 })},
		{"CPU of a delivery in fan-out", "≤ 10 µs", "fanout", func(r *measure.Result) (string, bool, bool) {
			v, ok := valuesOf(r, thousands(5000)+" viewers")
			return fmt.Sprintf("%.1f µs", v["delivery"]), v["delivery"] <= 10, ok
		}},
		{"10,000 sockets come back without a gap", "≤ 5 s", "reconnect", figure("seconds", "%.1f s, the slowest of three", func(v float64) bool { return v <= 5 })},
		{"search over 1 million notes of one workspace", "p95 ≤ 50 ms", "sizes", judgeSearch},
		{"CPU of a change with 10,000 workspaces and 1 million notes, against 10 and 1,000", "≤ 1.2 times", "tenants", figure("ratio", "%.2f times", func(v float64) bool { return v <= 1.2 })},
		{"CPU of tracing 10 % of the changes", "≤ 5 %", "tracing", func(r *measure.Result) (string, bool, bool) {
			v, ok := valuesOf(r, "10 %")
			return fmt.Sprintf("%+.1f %%", v["more"]), v["more"] <= 5, ok
		}},
	}
}

func valuesOf(r *measure.Result, label string) (map[string]float64, bool) {
	row, ok := r.Row(label)
	return row.Values, ok
}

func figure(name, format string, met func(float64) bool) func(r *measure.Result) (string, bool, bool) {
	return func(r *measure.Result) (string, bool, bool) {
		v, ok := r.Figures[name]
		return fmt.Sprintf(format, v), met(v), ok
	}
}

// judgeSearch takes the slowest kind of search for what people look for, in the largest workspace.
func judgeSearch(r *measure.Result) (string, bool, bool) {
	worst, ok := 0.0, false
	for _, label := range []string{searchRare, searchUsual, searchTwo, searchReader} {
		if v, has := valuesOf(r, label); has {
			p95, measured := v[fmt.Sprintf("p95 %d", 1_000_000)]
			worst, ok = max(worst, p95), ok || measured
		}
	}
	return fmt.Sprintf("%.1f ms, the slowest kind", worst), worst <= 50, ok
}

// verdicts is the table of the targets.
func verdicts(results map[string]*measure.Result) string {
	var b strings.Builder
	b.WriteString("| what | target | measured | |\n| --- | --- | --- | --- |\n")
	for _, t := range targets() {
		measured, verdict := "–", "not measured"
		if r := results[t.workload]; r != nil {
			if text, met, ok := t.judge(r); ok {
				measured, verdict = text, "missed"
				if met {
					verdict = "met"
				}
			} else {
				measured, verdict = "not reached", "missed"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.what, t.want, measured, verdict)
	}
	return b.String()
}
