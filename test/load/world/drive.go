package world

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/load/measure"
)

// Traffic is what came of a run of changes.
type Traffic struct {
	// Answers and Screens are from the intended time to the answer and to the other person's frame. Late is how late the generator itself
	// began a change of a note that nothing was under way for.
	Answers, Screens, Late *measure.Latencies
	Verdict                measure.Verdict
	Used                   Usage
	// Counted is how many changes were counted, Took how long that was.
	Counted int64
	Took    time.Duration
}

// Load is how much is asked of a stack, and how long.
type Load struct {
	PerSecond float64
	// Warmup is before counting begins, During is counted.
	Warmup, During time.Duration
	// Patience is how long what was acknowledged may take to be seen before it counts as lost; 0 for ten seconds.
	Patience time.Duration
}

// Drive has the pairs change their notes in turn. It returns when everything that was acknowledged has been seen, or patience is at its end; the pairs
// stay open. usage reads what the processes have used. The error wraps measure.ErrVoid if anything was lost, doubled, out of order or failed.
func Drive(ctx context.Context, pairs []*Pair, usage func() Usage, load Load) (*Traffic, error) {
	d := &drive{
		traffic: Traffic{Answers: measure.NewLatencies(), Screens: measure.NewLatencies(), Late: measure.NewLatencies()},
		begin:   time.Now().Add(load.Warmup),
	}
	all := measure.Rate(time.Now(), load.PerSecond, load.Warmup+load.During)
	show := d.show
	var writers sync.WaitGroup
	for i, p := range pairs {
		p.shown.Store(&show)
		writers.Go(func() { all.Share(i, len(pairs)).Run(ctx, func(at time.Time) { d.write(p, at) }) })
	}
	before := at(ctx, d.begin, usage)
	writers.Wait()
	after := usage()
	d.traffic.Took = time.Since(d.begin)
	awaitScreens(ctx, pairs, load.Patience)
	for _, p := range pairs {
		d.end(p)
	}
	d.traffic.Verdict.Failed += int(d.failed.Load())
	d.traffic.Used = after.Sub(before)
	d.traffic.Counted = d.traffic.Answers.Count()
	return &d.traffic, errors.Join(d.traffic.Verdict.Err(), d.err, ctx.Err())
}

type drive struct {
	traffic Traffic
	begin   time.Time
	failed  atomic.Int64
	once    sync.Once
	err     error
}

func at(ctx context.Context, moment time.Time, usage func() Usage) Usage {
	select {
	case <-time.After(time.Until(moment)):
	case <-ctx.Done():
	}
	return usage()
}

func (d *drive) write(p *Pair, at time.Time) {
	counts := !at.Before(d.begin)
	if counts && p.free.Before(at) {
		d.traffic.Late.Record(time.Since(at))
	}
	err := p.Change(at)
	p.free = time.Now()
	switch {
	case err != nil:
		d.fail(err)
	case counts:
		d.traffic.Answers.Record(p.free.Sub(at))
	}
}

func (d *drive) show(at time.Time) {
	if !at.Before(d.begin) {
		d.traffic.Screens.Record(time.Since(at))
	}
}

// end takes what came of a pair, which goes on without being looked at.
func (d *drive) end(p *Pair) {
	p.shown.Store(nil)
	select {
	case <-p.ended:
		d.fail(p.err)
	default:
	}
	d.traffic.Verdict = d.traffic.Verdict.Add(p.Ledger.Verdict())
	p.Ledger.Reset()
}

func (d *drive) fail(err error) {
	d.failed.Add(1)
	d.once.Do(func() { d.err = err })
}

// awaitScreens waits until all that was acknowledged has been seen.
func awaitScreens(ctx context.Context, pairs []*Pair, patience time.Duration) {
	if patience == 0 {
		patience = 10 * time.Second
	}
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		behind := 0
		for _, p := range pairs {
			behind += p.Ledger.Behind()
		}
		if behind == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
