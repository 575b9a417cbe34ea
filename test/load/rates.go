package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"noteworks.dev/test/load/anchor"
	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

const (
	// good is what 99 of 100 changes may take for a rate to count as held.
	good = 20 * time.Millisecond
	// hopeless ends the series.
	hopeless = time.Second
	// changesPerNote has each note changed 20 times a second: faster, and a note waits for itself.
	changesPerNote = 20
)

// rates measures the same way at rising rates, then looks for the highest that is held.
func rates(ctx context.Context, s *suite) (*measure.Result, error) {
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	parts, err := s.besides(ctx, w)
	if err != nil {
		return nil, err
	}
	commits, _ := parts.Row(anchor.CommitMany)
	r := &measure.Result{
		Title: "Changes a second, from the request to the other person's screen (ms from the intended time; CPU in µs of a change)",
		Text: "A note for each 20 changes a second, each watched by one other person; bodies of 470 bytes; all requests authenticated and validated; " +
			fmt.Sprintf("%g %% of the changes traced.", 100*max(0, s.sampled)),
		Columns: rateColumns(),
		Figures: map[string]float64{bareParts: bare(parts), bareCommits: commits.Values["rate"]},
	}
	sweep := &sweep{suite: s, world: w, result: r}
	defer func() { world.Leave(sweep.pairs) }()
	held, beyond := 0, 0
	for _, rate := range []int{250, 500, 1000, 2000, 4000, 8000} {
		p99, err := sweep.at(ctx, rate)
		if err != nil {
			return r, err
		}
		switch {
		case p99 <= good && beyond == 0:
			held = rate
		case p99 > good && beyond == 0:
			beyond = rate
		}
		if p99 > hopeless {
			break
		}
	}
	return r, sweep.search(ctx, held, beyond)
}

func rateColumns() []measure.Column {
	ms := func(key, title string) measure.Column { return measure.Column{Key: key, Title: title, Format: "%.2f"} }
	us := func(key, title string) measure.Column { return measure.Column{Key: key, Title: title, Format: "%.0f"} }
	return []measure.Column{
		ms("answer p50", "answer p50"), ms("answer p99", "p99"), ms("p50", "screen p50"), ms("p90", "p90"), ms("p99", "p99"), ms("p99.9", "p99.9"), ms("max", "max"),
		us("cpu", "CPU"), us("allinone", "allinone"), us("database", "PostgreSQL"), us("generator", "generator"), us("resident", "MB"),
	}
}

type sweep struct {
	*suite
	world  *world.World
	result *measure.Result
	pairs  []*world.Pair
}

// at measures one rate and answers the 99th percentile to the screen.
func (s *sweep) at(ctx context.Context, rate int) (time.Duration, error) {
	if err := s.ensure(ctx, max(s.sockets, rate/changesPerNote)); err != nil {
		return 0, err
	}
	t, err := world.Drive(ctx, s.pairs, s.world.Usage, s.load(rate))
	s.result.Verdict = s.result.Verdict.Add(t.Verdict)
	row := rateRow(rate, t)
	s.result.Rows = append(s.result.Rows, row)
	fmt.Printf("  %d a second: p50 %.2f ms, p99 %.2f ms, CPU %.0f µs\n", rate, row.Values["p50"], row.Values["p99"], row.Values["cpu"])
	return t.Screens.At(99), errors.Join(err, s.world.Settle(ctx))
}

// ensure has as many pairs as that, or more.
func (s *sweep) ensure(ctx context.Context, n int) error {
	if n <= len(s.pairs) {
		return nil
	}
	more, err := s.suite.pairs(ctx, s.world, n-len(s.pairs))
	s.pairs = append(s.pairs, more...)
	return err
}

// search halves the way between a rate that was held and one that was not, three times, and notes the highest that was held.
func (s *sweep) search(ctx context.Context, held, beyond int) error {
	for range 3 {
		if beyond == 0 || beyond-held < 100 {
			break
		}
		middle := (held + beyond) / 2 / 50 * 50
		p99, err := s.at(ctx, middle)
		if err != nil {
			return err
		}
		if p99 <= good {
			held = middle
		} else {
			beyond = middle
		}
	}
	s.result.Figures[highest] = float64(held)
	slices.SortStableFunc(s.result.Rows, func(a, b measure.Row) int { return cmp.Compare(a.Values["rate"], b.Values["rate"]) })
	s.result.Text += fmt.Sprintf(" The highest rate at which 99 of 100 changes are on the screen within %v: %d a second.", good, held)
	return nil
}

// What is found beside the rows: the highest rate, and the bare parts of the same run.
const (
	highest     = "highest rate held"
	bareParts   = "bare parts, ms"
	bareCommits = "bare commits a second"
)

func rateRow(rate int, t *world.Traffic) measure.Row {
	v := costsOf(t)
	v["rate"] = float64(rate)
	return measure.Row{Label: thousands(rate), Values: v}
}
