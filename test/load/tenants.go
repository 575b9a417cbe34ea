package main

import (
	"context"
	"fmt"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// tenants compares what a change costs in a small stack and in a large one.
func tenants(ctx context.Context, s *suite) (*measure.Result, error) {
	r := &measure.Result{
		Title: fmt.Sprintf("%d changes a second in a small stack and in a large one (CPU in µs of a change)", s.rate),
		Text:  "The same number of notes is changed in both, in ten of the workspaces of the small one and in as many different ones of the large one. The rest of the notes is there, indexed, and rests.",
		Columns: []measure.Column{
			{Key: "cpu", Title: "CPU", Format: "%.0f"}, {Key: "allinone", Title: "allinone", Format: "%.0f"}, {Key: "database", Title: "PostgreSQL", Format: "%.0f"},
			{Key: "p50", Title: "p50 ms", Format: "%.2f"}, {Key: "p99", Title: "p99 ms", Format: "%.2f"}, {Key: "resident", Title: "MB", Format: "%.0f"},
		},
		Figures: map[string]float64{},
	}
	for _, size := range []struct{ workspaces, notes int }{{10, 1000}, {10_000, s.notes}} {
		row, v, err := populated(ctx, s, size.workspaces, size.notes)
		r.Verdict = r.Verdict.Add(v)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, row)
	}
	r.Figures["ratio"] = r.Rows[1].Values["cpu"] / r.Rows[0].Values["cpu"]
	r.Text += fmt.Sprintf(" The large one costs %.2f times the small one.", r.Figures["ratio"])
	return r, nil
}

func populated(ctx context.Context, s *suite, workspaces, notes int) (measure.Row, measure.Verdict, error) {
	w, err := s.start(ctx)
	if err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	defer w.Close()
	teams, err := w.Teams(ctx, workspaces)
	if err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	if err := w.Fill(ctx, world.Seed{Count: notes, Workspaces: teams, ReaderSees: 10}); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	if err := w.Tidy(ctx); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	var pairs []*world.Pair
	defer func() { world.Leave(pairs) }()
	for i := range s.sockets {
		// Far apart from each other among the workspaces.
		more, err := w.Pairs(ctx, teams[i*len(teams)/s.sockets].Workspace, 1)
		if err != nil {
			return measure.Row{}, measure.Verdict{}, err
		}
		pairs = append(pairs, more...)
	}
	if err := w.Settle(ctx); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	t, err := world.Drive(ctx, pairs, w.Usage, s.load(s.rate))
	return measure.Row{Label: fmt.Sprintf("%s workspaces, %s notes", thousands(workspaces), thousands(notes)), Values: costsOf(t)}, t.Verdict, err
}
