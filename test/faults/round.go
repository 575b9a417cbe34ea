package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"noteworks.dev/test/faults/crew"
	"noteworks.dev/test/faults/history"
	"noteworks.dev/test/recording"
)

const (
	// warmUp is work before the fault, coolDown work after the steady state.
	warmUp   = time.Second
	coolDown = time.Second
	// defaultWithin is how long a steady state may take where the list says nothing else.
	defaultWithin = 15 * time.Second
)

func usualPace() crew.Pace { return crew.Pace{Notes: 5, Every: 80 * time.Millisecond} }

// leisurely is for faults that last for so long only because alerts wait.
func leisurely() crew.Pace { return crew.Pace{Notes: 5, Every: 400 * time.Millisecond} }

// round is one scenario that is played.
type round struct {
	*world
	scenario scenario
	shift    *crew.Shift
	random   *rand.Rand
	short    bool
	atMost   time.Duration
	record   *following

	broken, healed time.Duration // on the history's clock
	held           []string      // what else was asserted, and held
	failed         []string
}

// result is a line of the table.
type result struct {
	scenario scenario
	seed     uint64
	broke    string
	writes   int
	found    history.Verdict
	steady   time.Duration
	held     []string
	failed   []string
}

func (r *result) good() bool { return r.found.Good() && len(r.failed) == 0 }

// check records whether something held that was asserted.
func (r *round) check(held bool, format string, args ...any) {
	if held {
		r.held = append(r.held, fmt.Sprintf(format, args...))
		return
	}
	r.failed = append(r.failed, fmt.Sprintf("not: "+format, args...))
}

// must records an error as a failure.
func (r *round) must(what string, err error) {
	if err != nil {
		r.failed = append(r.failed, fmt.Sprintf("%s: %v", what, err))
	}
}

// leniency is how many times as long things may take: the short round is played while other tests keep the machine busy.
func (r *round) leniency() time.Duration {
	if r.short {
		return 3
	}
	return 1
}

func (r *round) lasts() time.Duration {
	lasts := r.scenario.lasts
	if alerts, has := alertings()[r.scenario.name]; has && r.record != nil {
		lasts = alerts.lasts
	}
	if r.short && r.scenario.lastsShort > 0 {
		lasts = r.scenario.lastsShort
	}
	if r.atMost > 0 {
		lasts = min(lasts, r.atMost)
	}
	return lasts
}

// play plays a scenario on a world, which is as good as before afterwards if the result is.
func play(ctx context.Context, w *world, s scenario, seed uint64, o options, record *recorder) result {
	r := &round{world: w, scenario: s, random: rand.New(rand.NewPCG(seed, 0)), short: o.quick, atMost: o.lasts} //nolint:gosec // it is to be repeated
	pace := s.pace
	if record != nil && alertings()[s.name].leisurely {
		pace = leisurely()
	}
	if pace.Notes == 0 {
		pace = usualPace()
	}
	before := w.measure(ctx)
	shift, err := w.crew.Begin(ctx, seed, pace)
	if err != nil {
		return result{scenario: s, seed: seed, failed: []string{err.Error()}}
	}
	r.shift = shift
	r.record, err = record.follow(ctx, w, s.name)
	r.must("record", err)
	steady := r.fault(ctx)
	r.must("the end", shift.End(ctx))
	r.must("record", r.record.stop())
	if s.holds != nil {
		r.must("what must hold", s.holds(ctx, r))
	}
	r.leaks(ctx, before)
	return r.result(seed, steady)
}

// fault breaks, waits, heals and waits for the steady state, which it returns the time to.
func (r *round) fault(ctx context.Context) time.Duration {
	s := r.scenario
	wait(ctx, warmUp)
	_, err := r.shift.Steady(patient(ctx, 20*time.Second), 0)
	r.must("before the fault", err)
	r.broken = r.shift.Now()
	if r.record != nil {
		r.record.Begins()
	}
	r.must("break", s.breaks(ctx, r))
	if s.during != nil {
		r.must("during the fault", s.during(patient(ctx, r.lasts()+time.Minute), r))
	}
	wait(ctx, r.lasts()-(r.shift.Now()-r.broken))
	r.healed = r.shift.Now()
	if r.record != nil {
		r.record.Ends()
	}
	if s.heals != nil {
		healed := r.shift.Now()
		r.must("heal", s.heals(ctx, r))
		r.healed = max(r.healed, healed)
	}
	within := s.within
	if within == 0 {
		within = defaultWithin
	}
	within *= r.leniency()
	at, err := r.shift.Steady(patient(ctx, within+defaultWithin), r.healed)
	r.must("after the fault", err)
	took := at - r.healed
	if err == nil && took > within {
		r.check(false, "steady within %v (it took %v)", within, took.Round(time.Millisecond))
	}
	wait(ctx, coolDown)
	if r.record != nil {
		wait(ctx, recording.After)
	}
	return took
}

func (r *round) result(seed uint64, steady time.Duration) result {
	mayResync := r.scenario.mayResync || r.scenario.hushed && r.lasts() > crew.Silence
	if n := r.shift.History.Resyncs(); n > 0 && !mayResync {
		r.failed = append(r.failed, fmt.Sprintf("readers were told %d times to start anew", n))
	}
	for _, line := range r.logs.unexpected(r.scenario.errors) {
		r.failed = append(r.failed, "in the log: "+line[:min(len(line), 400)])
	}
	out := result{scenario: r.scenario, seed: seed, steady: steady, held: r.held, failed: r.failed, found: r.shift.History.Check()}
	out.broke, out.writes = r.damage()
	return out
}

// damage says how the writes went: how many were acknowledged, and what the fault did to the others.
func (r *round) damage() (broke string, acknowledged int) {
	unanswered, statuses := 0, map[int]int{}
	var gap, last time.Duration
	for _, w := range r.shift.History.Writes() {
		switch w.Outcome {
		case history.Acknowledged:
			acknowledged++
			gap, last = max(gap, w.End-last), max(last, w.End)
		case history.Unknown:
			if w.Status == 0 {
				unanswered++
			} else {
				statuses[w.Status]++
			}
		case history.Refused:
		}
	}
	broke = fmt.Sprintf("longest without a write %v", gap.Round(time.Millisecond))
	for _, status := range []int{500, 502, 503, 504} {
		if statuses[status] > 0 {
			broke += fmt.Sprintf(", %d × %d", statuses[status], status)
		}
	}
	if unanswered > 0 {
		broke += fmt.Sprintf(", %d unanswered", unanswered)
	}
	return broke, acknowledged
}

// during are the writes that began while it was broken.
func (r *round) writesDuring() []history.Write {
	return slices.DeleteFunc(r.shift.History.Writes(), func(w history.Write) bool { return w.Begin < r.broken || w.Begin > r.healed })
}

// percentile of how long writes took that have the outcome.
func percentile(writes []history.Write, outcome history.Outcome, share float64) time.Duration {
	var took []time.Duration
	for _, w := range writes {
		if w.Outcome == outcome {
			took = append(took, w.End-w.Begin)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(float64(len(took))*share))]
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// patient is ctx with an end of its own, which needs no cancelling: it is soon.
func patient(ctx context.Context, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, d)
	context.AfterFunc(ctx, cancel)
	return ctx
}
