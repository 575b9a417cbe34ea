package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/report"
)

// The document, and where its curves are.
const (
	document = "docs/performance.md"
	pictures = "docs/performance"
)

// curves are what is drawn of each workload.
func curves() map[string][]report.Curve {
	return map[string][]report.Curve{
		"rates": {
			{
				File: "latency", Title: "From the request to the other person's screen", X: "changes a second", Y: "ms", XKey: "rate", XScale: report.Logarithmic, YScale: report.Logarithmic,
				Lines: []report.Line{{Name: "half are faster", Key: "p50"}, {Name: "99 of 100", Key: "p99"}, {Name: "999 of 1,000", Key: "p99.9"}}, Target: 20, TargetName: "held: 99 of 100 within 20 ms",
			},
			{
				File: "cpu", Title: "CPU of a change", X: "changes a second", Y: "µs", XKey: "rate", XScale: report.Logarithmic,
				Lines: []report.Line{{Name: "together", Key: "cpu"}, {Name: "Noteworks", Key: "allinone"}, {Name: "PostgreSQL", Key: "database"}, {Name: "load generator", Key: "generator"}}, Target: 350, TargetName: "target at 4,000: 350 µs",
			},
		},
		"fanout": {{
			File: "fanout", Title: "CPU of a delivery, by the viewers of a note", X: "viewers", Y: "µs", XKey: "viewers", XScale: report.Logarithmic, YScale: report.Logarithmic,
			Lines: []report.Line{{Name: "a delivery", Key: "delivery"}, {Name: "of the generator", Key: "generator"}}, Target: 10, TargetName: "target: 10 µs",
		}},
		"soak": {{
			File: "soak", Title: "Memory of the process under steady load", X: "minutes", Y: "MB", XKey: "minutes",
			Lines: []report.Line{{Name: "resident", Key: "resident"}, {Name: "heap in use", Key: "heap"}},
		}},
	}
}

// write puts the results that are in dir into the document and draws their curves. What was not measured stays as it stands there.
func write(dir string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	results := map[string]*measure.Result{}
	doc := string(text)
	for _, name := range append(namesOf(workloads()), "anchors") {
		r, ok, err := measure.Load(dir, name)
		if err != nil {
			return err
		}
		if !ok || name == "screen" {
			continue
		}
		results[name] = r
		if doc, err = report.Between(doc, name, section(r)); err != nil {
			return err
		}
		if err := draw(r); err != nil {
			return err
		}
	}
	if doc, err = report.Between(doc, "targets", verdicts(results)); err != nil {
		return err
	}
	if doc, err = report.Between(doc, "machine", machine(results)); err != nil {
		return err
	}
	return os.WriteFile(document, []byte(doc), 0o644)
}

// section is what the document says of a result: its table, and what one has to know to read it.
func section(r *measure.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s", report.Wrapped(r.Title+". "+r.Text), report.Markdown(r))
	if r.Verdict.Written > 0 {
		fmt.Fprintf(&b, "\n%s written, %s seen; lost %d, doubled %d, out of order %d, failed %d. Measured on %s.\n", thousands(r.Verdict.Written), thousands(r.Verdict.Seen),
			r.Verdict.Lost, r.Verdict.Doubled, r.Verdict.Inverted, r.Verdict.Failed, r.Taken.Format("2006-01-02"))
	}
	for _, c := range curves()[r.Workload] {
		fmt.Fprintf(&b, "\n![%s](performance/%s.svg)\n", c.Title, c.File)
	}
	return b.String()
}

func draw(r *measure.Result) error {
	for _, c := range curves()[r.Workload] {
		svg, err := report.SVG(r, c)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(pictures, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(pictures, c.File+".svg"), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// machine is where the rates were measured, and how those stand to the bare parts.
func machine(results map[string]*measure.Result) string {
	r := results["rates"]
	if r == nil {
		return ""
	}
	m := r.Machine
	text := fmt.Sprintf("Measured on %d cores of an %s with %d GB of memory, %s, on %s: the program, PostgreSQL, NATS and the load generator all on them.\n",
		m.Cores, m.CPU, m.Memory>>30, m.Go, r.Taken.Format("2006-01-02"))
	row, ok := r.Row(thousands(1000))
	if ok && r.Figures[bareParts] > 0 {
		text += fmt.Sprintf("At 1,000 a second the median way to the screen is %.1f times its bare parts one after the other (%.2f ms: two round trips, a commit, a publish, a push); "+
			"the highest rate is %.0f %% of what one-row commits on 16 connections reach with nothing else on the machine (%.0f a second).\n",
			row.Values["p50"]/r.Figures[bareParts], r.Figures[bareParts], 100*r.Figures[highest]/r.Figures[bareCommits], r.Figures[bareCommits])
	}
	return text
}
