package main

import (
	"context"
	"errors"
	"fmt"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// tracing compares what a change costs by the share that is traced and exported.
func tracing(ctx context.Context, s *suite) (*measure.Result, error) {
	r := &measure.Result{
		Title: fmt.Sprintf("%d changes a second by the share that is traced (CPU in µs of a change)", s.rate),
		Text: "A fresh stack for each row, in two rounds, of which the cheaper counts: what else the machine does can only add. Spans go by OTLP over HTTP to a sink that throws them away, whose CPU " +
			"is the generator's.",
		Columns: []measure.Column{
			{Key: "cpu", Title: "CPU", Format: "%.0f"}, {Key: "allinone", Title: "allinone", Format: "%.0f"}, {Key: "database", Title: "PostgreSQL", Format: "%.0f"},
			{Key: "more", Title: "more than at 0 % (%)", Format: "%+.1f"}, {Key: "p50", Title: "p50 ms", Format: "%.2f"}, {Key: "p99", Title: "p99 ms", Format: "%.2f"},
			{Key: "kB", Title: "kB of spans a second", Format: "%.0f"},
		},
	}
	best := map[float64]measure.Row{}
	shares := []float64{0, 0.01, 0.1, 1}
	for range 2 {
		for _, share := range shares {
			row, v, err := traced(ctx, s, share)
			r.Verdict = r.Verdict.Add(v)
			if err != nil {
				return r, err
			}
			if had, ok := best[share]; !ok || row.Values["cpu"] < had.Values["cpu"] {
				best[share] = row
			}
		}
	}
	for _, share := range shares {
		row := best[share]
		row.Values["more"] = 100 * (row.Values["cpu"]/best[0].Values["cpu"] - 1)
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

func traced(ctx context.Context, s *suite, share float64) (measure.Row, measure.Verdict, error) {
	some := *s
	some.sampled = share
	w, err := some.start(ctx)
	if err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	defer w.Close()
	pairs, err := some.pairs(ctx, w, s.sockets)
	if err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	defer world.Leave(pairs)
	sent := w.Spans.Bytes()
	t, err := world.Drive(ctx, pairs, w.Usage, s.load(s.rate))
	sent = w.Spans.Bytes() - sent
	if share == 1 && sent == 0 {
		err = errors.Join(err, errors.New("nothing was exported"))
	}
	values := costsOf(t)
	values["share"], values["kB"] = share, float64(sent)/1024/(s.warmup+s.duration).Seconds()
	fmt.Printf("  %g %%: %.0f µs a change\n", 100*share, values["cpu"])
	return measure.Row{Label: fmt.Sprintf("%g %%", 100*share), Values: values}, t.Verdict, err
}
