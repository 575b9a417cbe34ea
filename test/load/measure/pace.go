package measure

import (
	"context"
	"time"
)

// Schedule is a series of intended times, Gap apart: an open loop, in which nobody's answer decides when the next begins.
type Schedule struct {
	Start time.Time
	Gap   time.Duration
	Count int
}

// Rate is a schedule of perSecond for a duration.
func Rate(start time.Time, perSecond float64, during time.Duration) Schedule {
	return Schedule{Start: start, Gap: time.Duration(float64(time.Second) / perSecond), Count: int(perSecond * during.Seconds())}
}

// Share is the i-th of n parts that together are the schedule: every n-th time, beginning with the i-th.
func (s Schedule) Share(i, n int) Schedule {
	return Schedule{Start: s.Start.Add(time.Duration(i) * s.Gap), Gap: time.Duration(n) * s.Gap, Count: (s.Count - i + n - 1) / n}
}

// Run calls do with each intended time, when that has come, one after the other. A do that takes long makes the following late, not fewer:
// they are called at once, with the times they were meant for, so that a stall is charged to everything it delayed. It ends early with ctx.
func (s Schedule) Run(ctx context.Context, do func(at time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range s.Count {
		at := s.Start.Add(time.Duration(i) * s.Gap)
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		do(at)
	}
}
