package main

import (
	"context"
	"fmt"
	"time"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// idle opens sockets that nothing happens to, and weighs the process.
func idle(ctx context.Context, s *suite) (*measure.Result, error) {
	const sockets = 18_000
	if err := filesFor(sockets); err != nil {
		return nil, err
	}
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	at, err := w.Default(ctx)
	if err != nil {
		return nil, err
	}
	people, err := w.People(ctx, at, sockets)
	if err != nil {
		return nil, err
	}
	crowd := w.NewCrowd()
	defer crowd.Cut()
	for _, p := range people {
		crowd.Join(p, "", 0)
	}
	empty, err := weighed(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := crowd.Connect(ctx, 32); err != nil {
		return nil, err
	}
	opened := time.Since(began)
	full, err := weighed(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	rested, err := weighed(ctx, w, rest)
	if err != nil {
		return nil, err
	}
	verdict, err := crowd.Await(ctx, 0)
	row := func(label, key string) measure.Row {
		return measure.Row{Label: label, Values: map[string]float64{
			"empty": empty[key] / (1 << 20), "full": full[key] / (1 << 20), "rested": rested[key] / (1 << 20), "each": (rested[key] - empty[key]) / sockets / 1024,
			"each, new": (full[key] - empty[key]) / sockets / 1024,
		}}
	}
	r := &measure.Result{
		Title: fmt.Sprintf("%s idle live sockets of as many people", thousands(sockets)),
		Text: fmt.Sprintf("Opened in %.1f s, weighed at once, when much is still there that opening them left behind, and again after %v, by when it has been given back. The process is the whole "+
			"program: three services and the NATS server.", opened.Seconds(), rest),
		Columns: []measure.Column{
			{Key: "empty", Title: "MB before", Format: "%.0f"}, {Key: "full", Title: "MB just opened", Format: "%.0f"}, {Key: "each, new", Title: "kB of a socket", Format: "%.1f"},
			{Key: "rested", Title: "MB at rest", Format: "%.0f"}, {Key: "each", Title: "kB of a socket", Format: "%.1f"},
		},
		Rows: []measure.Row{
			row("resident memory of the process", "resident"), row("of it, heap in use", "go_memstats_heap_inuse_bytes"),
			row("of it, stacks", "go_memstats_stack_inuse_bytes"),
		},
		Verdict: verdict,
	}
	r.Figures = map[string]float64{"kB of a socket": r.Rows[0].Values["each"], "goroutines": rested["go_goroutines"] - empty["go_goroutines"]}
	return r, err
}

// rest is how long the sockets are left alone: the programs look once a minute whether they hold memory that they do not need, and had to do until now. A collection
// that Go makes every two minutes is in it, too, so that what pings leave behind is weighed.
const rest = 200 * time.Second

// weighed is what the process holds after a while, once that has not shrunk for five seconds, a minute more at most.
func weighed(ctx context.Context, w *world.World, after time.Duration) (map[string]float64, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(after):
	}
	least, since := w.Usage().Allinone.Resident, time.Now()
	for end := time.Now().Add(time.Minute); time.Since(since) < 5*time.Second && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		if now := w.Usage().Allinone.Resident; now < least-least/100 {
			least, since = now, time.Now()
		}
	}
	m, err := w.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	m["resident"] = float64(w.Usage().Allinone.Resident)
	return m, nil
}
