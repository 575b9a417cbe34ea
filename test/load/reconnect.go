package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// reconnect cuts off sockets, changes their notes meanwhile, and has all come back at once.
func reconnect(ctx context.Context, s *suite) (*measure.Result, error) {
	const sockets, missed = 10_000, 20
	if err := filesFor(sockets); err != nil {
		return nil, err
	}
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	crowd, authors, err := audiences(ctx, w, sockets)
	if err != nil {
		return nil, err
	}
	defer crowd.Cut()
	if err := errors.Join(crowd.Connect(ctx, 32), w.Settle(ctx)); err != nil {
		return nil, err
	}
	r := &measure.Result{
		Title: fmt.Sprintf("%s sockets come back at once, each having missed %d changes", thousands(sockets), missed),
		Text: fmt.Sprintf("Each socket is a person's of their own, and each note has %d viewers. All connections are cut, each note is changed %d times, then all dial, authenticate and name their "+
			"last cursor as fast as the machine can. The end is when the last of them has seen every change, in order and once.", mostShares, missed),
		Columns: []measure.Column{
			{Key: "open", Title: "s until all are open", Format: "%.2f"}, {Key: "live", Title: "s until all have seen everything", Format: "%.2f"},
			{Key: "cpu", Title: "CPU of a socket (µs)", Format: "%.0f"}, {Key: "generator", Title: "generator (µs)", Format: "%.0f"},
		},
	}
	for round := range 3 {
		row, v, err := storm(ctx, w, crowd, authors, missed)
		r.Verdict = r.Verdict.Add(v)
		if err != nil {
			return r, err
		}
		row.Label = fmt.Sprintf("round %d", round+1)
		r.Rows = append(r.Rows, row)
		r.Figures = map[string]float64{"seconds": max(r.Figures["seconds"], row.Values["live"])}
	}
	return r, nil
}

// audiences are people, in groups as large as a note can have, and an author for the note of each group.
func audiences(ctx context.Context, w *world.World, n int) (*world.Crowd, []*world.Author, error) {
	at, err := w.Default(ctx)
	if err != nil {
		return nil, nil, err
	}
	people, err := w.People(ctx, at, n+1)
	if err != nil {
		return nil, nil, err
	}
	writer, people := people[0], people[1:]
	crowd := w.NewCrowd()
	var authors []*world.Author
	for begin := 0; begin < n; begin += mostShares {
		group := people[begin:min(n, begin+mostShares)]
		note, err := w.Write(writer, "Missed", "0")
		if err != nil {
			return nil, nil, err
		}
		if err := w.ShareWithAll(ctx, writer, note.ID, group); err != nil {
			return nil, nil, err
		}
		authors = append(authors, world.NewAuthor(w.Addr(), writer, note.ID, note.Version))
		for _, p := range group {
			crowd.Join(p, note.ID, note.Version)
		}
	}
	return crowd, authors, nil
}

func storm(ctx context.Context, w *world.World, crowd *world.Crowd, authors []*world.Author, changes int) (measure.Row, measure.Verdict, error) {
	crowd.Cut()
	for _, a := range authors {
		for range changes {
			if err := a.Change(time.Now()); err != nil {
				return measure.Row{}, measure.Verdict{}, err
			}
			crowd.Written(a.Note, a.Version)
		}
	}
	if err := w.Settle(ctx); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	const atOnce = 512 // dials under way: a listen queue has no room for all
	before, began := w.Usage(), time.Now()
	if err := crowd.Connect(ctx, atOnce); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	open := time.Since(began)
	verdict, err := crowd.Await(ctx, 30*time.Second)
	live, used := time.Since(began), w.Usage().Sub(before)
	n := int64(len(crowd.Viewers))
	return measure.Row{Values: map[string]float64{
		"open": open.Seconds(), "live": live.Seconds(),
		"cpu": float64(used.Total().Microseconds()) / float64(n), "generator": used.Generator.PerOperation(n),
	}}, verdict, err
}
