package measure

import (
	"reflect"
	"testing"
	"time"
)

func TestAResultIsReadAsItWasKept(t *testing.T) {
	t.Parallel()
	r := &Result{
		Workload: "w", Title: "W", Columns: []Column{{"p50", "p50", "%.1f"}, {"max", "max", "%.0f"}},
		Rows: []Row{{"a", map[string]float64{"p50": 1.25}}}, Verdict: Verdict{Written: 3},
		Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: ThisMachine(),
	}
	dir := t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, ok, err := Load(dir, "w")
	if err != nil || !ok || !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := Load(dir, "other"); ok || err != nil {
		t.Errorf("what was not measured: %v, %v", ok, err)
	}
	if got := r.Columns[1].Cell(r.Rows[0]); got != "–" {
		t.Errorf("what is missing reads %q", got)
	}
}
