package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"noteworks.dev/test/load/measure"
)

func rates() *measure.Result {
	return &measure.Result{Rows: []measure.Row{
		{Label: "1,000", Values: map[string]float64{"rate": 1000, "p50": 2, "p99": 10}},
		{Label: "250", Values: map[string]float64{"rate": 250, "p50": 1, "p99": 100}},
		{Label: "4,000", Values: map[string]float64{"rate": 4000, "p50": 4}},
	}}
}

func TestACurveIsDrawnToScale(t *testing.T) {
	t.Parallel()
	got, err := SVG(rates(), Curve{
		File: "rates", Title: "p50 & p99", X: "changes a second", Y: "ms", XKey: "rate", XScale: Logarithmic, YScale: Logarithmic,
		Lines: []Line{{"p50", "p50"}, {"p99", "p99"}}, Target: 10, TargetName: "≤ 10 ms",
	})
	if err != nil {
		t.Fatal(err)
	}
	// 250 is at the left edge, 4,000 at the right and 1,000, their geometric mean, in the middle; 1 ms is at the bottom, 100 at the top, 10 in the middle.
	for _, want := range []string{
		`<path class="l0" d="M70.0 350.0L385.0 305.7L700.0 261.5"/>`,
		`<path class="l1" d="M70.0 56.0L385.0 203.0"/>`,
		`<circle class="l1" cx="385.0" cy="203.0" r="3"/>`,
		`d="M70 203.0H700"`, "p50 &amp; p99", ">4000<", ">100<",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
	wellFormed(t, got)
}

func TestALinearAxisBeginsAtNothing(t *testing.T) {
	t.Parallel()
	got, err := SVG(rates(), Curve{File: "rates", XKey: "rate", Lines: []Line{{"p50", "p50"}}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, `<path class="l0" d="M70.0 276.5L196.0 203.0L700.0 56.0"/>`) || !strings.Contains(got, `y="350.0" dy="4" text-anchor="end">0<`) {
		t.Errorf("got\n%s", got)
	}
	wellFormed(t, got)
}

func TestACurveWithoutPointsIsNone(t *testing.T) {
	t.Parallel()
	if _, err := SVG(rates(), Curve{File: "none", XKey: "rate", Lines: []Line{{"max", "max"}}}); err == nil {
		t.Error("nothing was drawn")
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	t.Parallel()
	for _, high := range []float64{0.3, 1, 7, 12, 99, 350, 18_000} {
		e := extent{scale: Linear, low: 0, high: high}
		e.round()
		if n := len(e.ticks()); n < 3 || n > 11 || e.high < high {
			t.Errorf("up to %v: %v", high, e.ticks())
		}
	}
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 1500: "1500", 18_000: "18 k", 1e6: "1 M"} {
		if got := short(v); got != want {
			t.Errorf("%v reads %q, not %q", v, got, want)
		}
	}
}
