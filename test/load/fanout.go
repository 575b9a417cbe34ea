package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// mostShares is with how many people a note can be shared.
const mostShares = 1000

// fanout has one note watched by more and more sockets.
func fanout(ctx context.Context, s *suite) (*measure.Result, error) {
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	at, err := w.Default(ctx)
	if err != nil {
		return nil, err
	}
	people, err := w.People(ctx, at, mostShares+1)
	if err != nil {
		return nil, err
	}
	writer, people := people[0], people[1:]
	r := &measure.Result{
		Title: "One note and its viewers (ms from the intended time to each screen; CPU in µs)",
		Text: fmt.Sprintf("Each row has a note of its own. A note is shared with at most %d people: 5,000 viewers are 1,000 people with five windows each. "+
			"The CPU of a delivery includes its share of the write's, but not what the stack uses while these sockets are open and nothing happens, pings above all.", mostShares),
		Columns: []measure.Column{
			{Key: "rate", Title: "writes a second", Format: "%.0f"}, {Key: "p50", Title: "p50", Format: "%.1f"}, {Key: "p99", Title: "p99", Format: "%.1f"},
			{Key: "max", Title: "max", Format: "%.1f"}, {Key: "write", Title: "CPU of a write", Format: "%.0f"}, {Key: "delivery", Title: "of a delivery", Format: "%.1f"},
			{Key: "generator", Title: "generator, of a delivery", Format: "%.1f"}, {Key: "idle", Title: "idle, % of a core", Format: "%.1f"},
		},
	}
	for _, step := range []struct{ viewers, rate int }{{1, 50}, {10, 50}, {100, 20}, {1000, 5}, {5000, 2}} {
		row, v, err := watched(ctx, s, w, writer, people[:min(step.viewers, len(people))], step.viewers, step.rate)
		r.Verdict = r.Verdict.Add(v)
		if err != nil {
			return r, fmt.Errorf("%d viewers: %w", step.viewers, err)
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// watched writes one note while so many sockets of people watch it.
func watched(ctx context.Context, s *suite, w *world.World, writer world.Person, people []world.Person, viewers, rate int) (measure.Row, measure.Verdict, error) {
	crowd := w.NewCrowd()
	defer crowd.Cut()
	n, err := w.Write(writer, "Watched", "0")
	if err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	if err := w.ShareWithAll(ctx, writer, n.ID, people); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	for i := range viewers {
		crowd.Join(people[i%len(people)], n.ID, n.Version)
	}
	if err := errors.Join(crowd.Connect(ctx, 16), w.Settle(ctx)); err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	author := world.NewAuthor(w.Addr(), writer, n.ID, n.Version)
	defer author.Close()
	screens := measure.NewLatencies()
	crowd.Show(func(at time.Time) { screens.Record(time.Since(at)) })
	resting, err := atRest(ctx, w)
	if err != nil {
		return measure.Row{}, measure.Verdict{}, err
	}
	var failed error
	began, before, writes := time.Now(), w.Usage(), int64(0)
	measure.Rate(time.Now(), float64(rate), s.duration).Run(ctx, func(at time.Time) {
		if failed == nil {
			failed = author.Change(at)
			crowd.Written(n.ID, author.Version)
			writes++
		}
	})
	verdict, err := crowd.Await(ctx, 10*time.Second)
	used := w.Usage().Sub(before).Less(resting, time.Since(began))
	values := quantiles(screens)
	values["idle"] = 100 * resting.Total().Seconds()
	values["viewers"], values["rate"] = float64(viewers), float64(rate)
	values["write"] = float64(used.Total().Microseconds()) / float64(writes)
	values["delivery"] = values["write"] / float64(viewers)
	values["generator"] = used.Generator.PerOperation(writes * int64(viewers))
	fmt.Printf("  %d viewers: p99 %.1f ms, %.1f µs a delivery\n", viewers, values["p99"], values["delivery"])
	return measure.Row{Label: thousands(viewers) + " viewers", Values: values}, verdict, errors.Join(failed, err)
}

// atRest is what the stack uses in a second in which nobody does anything.
func atRest(ctx context.Context, w *world.World) (world.Usage, error) {
	const seconds = 5
	before := w.Usage()
	select {
	case <-ctx.Done():
		return world.Usage{}, ctx.Err()
	case <-time.After(seconds * time.Second):
	}
	u := w.Usage().Sub(before)
	for _, p := range []*measure.Usage{&u.Allinone, &u.Database, &u.Generator} {
		p.CPU /= seconds
	}
	return u, nil
}

// thousands is n with a comma between thousands.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
