package main

import (
	"context"
	"fmt"

	"noteworks.dev/test/load/anchor"
	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// screen measures one rate, as the table that says most about it.
func screen(ctx context.Context, s *suite) (*measure.Result, error) {
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	idle := w.Usage()
	pairs, err := s.pairs(ctx, w, s.sockets)
	if err != nil {
		return nil, err
	}
	defer world.Leave(pairs)
	t, err := world.Drive(ctx, pairs, w.Usage, s.load(s.rate))
	if t == nil {
		return nil, err
	}
	var parts *measure.Result
	if s.anchors && err == nil { // not before it: what they leave for the disk to write, the changes would pay for
		parts, err = s.besides(ctx, w)
	}
	r := &measure.Result{
		Title: fmt.Sprintf("%d changes a second, %d open sockets, %v counted, from the intended time (ms)", s.rate, s.sockets, s.duration),
		Columns: []measure.Column{
			{Key: "p50", Title: "p50", Format: "%.2f"}, {Key: "p90", Title: "p90", Format: "%.2f"}, {Key: "p99", Title: "p99", Format: "%.2f"},
			{Key: "p99.9", Title: "p99.9", Format: "%.2f"}, {Key: "max", Title: "max", Format: "%.2f"},
		},
		Rows: []measure.Row{
			{Label: "request to answer", Values: quantiles(t.Answers)},
			{Label: "request to screen", Values: quantiles(t.Screens)},
			{Label: "of it, the generator being late", Values: quantiles(t.Late)},
		},
		Text:    costs(t) + fmt.Sprintf("; idle: %d MB", idle.Allinone.Resident>>20) + compare(t, parts),
		Verdict: t.Verdict,
	}
	return r, err
}

func quantiles(l *measure.Latencies) map[string]float64 {
	return map[string]float64{
		"p50": measure.Millis(l.At(50)), "p90": measure.Millis(l.At(90)), "p99": measure.Millis(l.At(99)),
		"p99.9": measure.Millis(l.At(99.9)), "max": measure.Millis(l.At(100)),
	}
}

// costsOf is what a change took and cost, by the keys of columns.
func costsOf(t *world.Traffic) map[string]float64 {
	v := quantiles(t.Screens)
	v["answer p50"], v["answer p99"] = measure.Millis(t.Answers.At(50)), measure.Millis(t.Answers.At(99))
	v["allinone"], v["database"] = t.Used.Allinone.PerOperation(t.Counted), t.Used.Database.PerOperation(t.Counted)
	v["cpu"], v["generator"] = v["allinone"]+v["database"], t.Used.Generator.PerOperation(t.Counted)
	v["resident"] = float64(t.Used.Allinone.Resident >> 20)
	return v
}

func costs(t *world.Traffic) string {
	u, n := t.Used, t.Counted
	return fmt.Sprintf("CPU of a change: allinone %.0f µs, PostgreSQL %.0f µs, generator %.0f µs (%.0f %% of one core together)\nallinone %d MB resident",
		u.Allinone.PerOperation(n), u.Database.PerOperation(n), u.Generator.PerOperation(n),
		100*(u.Total()+u.Generator.CPU).Seconds()/t.Took.Seconds(), u.Allinone.Resident>>20)
}

// compare tells the way to the screen as a multiple of what its bare parts cost one after the other: two round trips, a commit, a publish, a push.
func compare(t *world.Traffic, parts *measure.Result) string {
	if parts == nil {
		return ""
	}
	sum := bare(parts)
	return fmt.Sprintf("\nmedian to screen: %.1f times its bare parts one after the other (%.2f ms)", measure.Millis(t.Screens.At(50))/sum, sum)
}

// bare is the sum in milliseconds of the medians of the parts that no such way can do without: to the door and on, commit, publish, push.
func bare(parts *measure.Result) float64 {
	sum := 0.0
	for label, times := range map[string]float64{anchor.TCP: 2, anchor.CommitOne: 1, anchor.Publish: 1, anchor.WebSocket: 0.5} {
		if row, ok := parts.Row(label); ok {
			sum += times * row.Values["p50"]
		}
	}
	return sum
}
