package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// table prints a line for each round, and below it what was found.
func table(to io.Writer, results []result) {
	_, _ = fmt.Fprintf(to, "\n%-38s %7s %5s %7s %9s %7s %5s %9s  %s\n", "fault", "writes", "lost", "doubled", "unordered", "foreign", "torn", "steady", "what broke · what else held")
	for _, r := range results {
		line(to, r)
	}
}

func line(to io.Writer, r result) {
	f := r.found
	_, _ = fmt.Fprintf(to, "%-38s %7d %5d %7d %9d %7d %5d %9v  %s\n", r.scenario.name, r.writes, f.Lost, f.Doubled, f.Unordered, f.Foreign, f.Torn,
		r.steady.Round(time.Millisecond), strings.Join(append([]string{r.broke}, r.held...), " · "))
	for _, what := range append(f.Findings, r.failed...) {
		_, _ = fmt.Fprintf(to, "    FAILED  %s\n", what)
	}
}

// markdown is the table for a document.
func markdown(to io.Writer, results []result) {
	_, _ = fmt.Fprintln(to, "| fault | what broke | writes | lost | doubled | out of order | foreign | time to steady state | what else held |")
	_, _ = fmt.Fprintln(to, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range results {
		f := r.found
		_, _ = fmt.Fprintf(to, "| %s | %s | %d | %d | %d | %d | %d | %v | %s |\n", r.scenario.name, r.broke, r.writes, f.Lost+f.Torn, f.Doubled, f.Unordered, f.Foreign,
			r.steady.Round(10*time.Millisecond), strings.ReplaceAll(strings.Join(append(r.held, r.failed...), "; "), "\n", " "))
	}
}
