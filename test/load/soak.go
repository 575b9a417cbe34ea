package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// soak keeps the load up for long and looks whether anything grows.
func soak(ctx context.Context, s *suite) (*measure.Result, error) {
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	pairs, err := s.pairs(ctx, w, s.sockets)
	if err != nil {
		return nil, err
	}
	defer world.Leave(pairs)
	r := &measure.Result{
		Title: fmt.Sprintf("%d changes a second for %v", s.rate, s.soak),
		Text:  "A row for each tenth of the time.",
		Columns: []measure.Column{
			{Key: "p50", Title: "p50 ms", Format: "%.2f"}, {Key: "p99", Title: "p99 ms", Format: "%.2f"}, {Key: "cpu", Title: "CPU µs", Format: "%.0f"},
			{Key: "resident", Title: "MB resident", Format: "%.0f"}, {Key: "heap", Title: "MB heap in use", Format: "%.0f"}, {Key: "goroutines", Title: "goroutines", Format: "%.0f"},
		},
	}
	const parts = 10
	part := s.soak / parts
	for i := range parts {
		t, err := world.Drive(ctx, pairs, w.Usage, world.Load{PerSecond: float64(s.rate), During: part})
		r.Verdict = r.Verdict.Add(t.Verdict)
		m, failed := w.Metrics(ctx)
		if err := errors.Join(err, failed); err != nil {
			return r, err
		}
		v := costsOf(t)
		v["minutes"], v["heap"], v["goroutines"] = (time.Duration(i+1) * part).Minutes(), m["go_memstats_heap_inuse_bytes"]/(1<<20), m["go_goroutines"]
		r.Rows = append(r.Rows, measure.Row{Label: fmt.Sprintf("to minute %.0f", v["minutes"]), Values: v})
		fmt.Printf("  to minute %.1f: p99 %.2f ms, %.0f MB, %.0f goroutines\n", v["minutes"], v["p99"], v["resident"], v["goroutines"])
	}
	first, last := r.Rows[1].Values, r.Rows[parts-1].Values
	r.Figures = map[string]float64{"memory": last["resident"] / first["resident"], "goroutines": last["goroutines"] - first["goroutines"], "p99": last["p99"] / first["p99"]}
	return r, nil
}
