package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/report"
)

func TestATargetIsMetMissedNotReachedOrNotMeasured(t *testing.T) {
	t.Parallel()
	got := verdicts(map[string]*measure.Result{
		"rates": {
			Rows:    []measure.Row{{Label: "1,000", Values: map[string]float64{"p50": 1.5, "p99": 9}}},
			Figures: map[string]float64{highest: 4200},
		},
		"tracing": {Rows: []measure.Row{{Label: "10 %", Values: map[string]float64{"more": 4.96}}}},
	})
	for _, want := range []string{
		"| p50 1.50 ms, p99 9.00 ms | missed |", // one of the two is
		"| 4200 a second | met |",
		"| ≤ 350 µs | not reached | missed |", // the rate was too much
		"| +5.0 % | met |",
		"| ≤ 8 kB | – | not measured |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
}

func TestTheSearchIsJudgedByItsSlowestKind(t *testing.T) {
	t.Parallel()
	r := &measure.Result{}
	put(r, searchRare, map[string]float64{"p95 1000000": 3, "p95 1000": 900})
	put(r, searchUsual, map[string]float64{"p95 1000000": 51})
	if text, met, ok := judgeSearch(r); !ok || met || !strings.HasPrefix(text, "51.0 ms") {
		t.Errorf("%s, %v, %v", text, met, ok)
	}
}

func TestTheDocumentHasAPlaceForEveryWorkload(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", document))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(namesOf(workloads()), "anchors", "targets", "machine") {
		if name == "screen" {
			continue // a part of rates
		}
		if _, err := report.Between(string(text), name, ""); err != nil {
			t.Error(err)
		}
	}
	for workload, all := range curves() {
		if _, err := choose([]string{workload}); err != nil {
			t.Error(err)
		}
		for _, c := range all {
			picture := "performance/" + c.File + ".svg"
			if _, err := os.Stat(filepath.Join("..", "..", pictures, c.File+".svg")); err != nil && strings.Contains(string(text), picture) {
				t.Errorf("the document shows a curve that is not there: %v", err)
			}
		}
	}
}

func TestAWorkloadThatDoesNotExistIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := choose([]string{"rates", "rtaes"}); err == nil || !strings.Contains(err.Error(), `"rtaes"`) {
		t.Errorf("got %v", err)
	}
	if all, err := choose([]string{"all"}); err != nil || len(all) != len(workloads()) {
		t.Errorf("all are %d, %v", len(all), err)
	}
	if none, err := choose(nil); err != nil || len(none) != 1 || none[0].name != "screen" {
		t.Errorf("without a name: %v, %v", none, err)
	}
}

func TestNumbersAreToldWithCommas(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{7: "7", 999: "999", 1000: "1,000", 18_000: "18,000", 1_000_007: "1,000,007"} {
		if got := thousands(n); got != want {
			t.Errorf("%d reads %q", n, got)
		}
	}
}
