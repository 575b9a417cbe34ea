package main

import (
	"context"
	"time"

	"noteworks.dev/test/faults/history"
)

// databaseFaults are faults of PostgreSQL and of the way there.
func databaseFaults() []scenario {
	return []scenario{
		{
			name: "PostgreSQL killed", row: "Postgres killed",
			quick: true, lasts: 5 * time.Second, lastsShort: 2 * time.Second,
			breaks: func(_ context.Context, r *round) error { return r.Postgres.Kill() },
			heals:  func(_ context.Context, r *round) error { return r.Postgres.Restart() },
			holds:  refusedSoon,
		},
		{
			name: "PostgreSQL stopped", row: "Postgres stopped 5 min",
			lasts: 5 * time.Minute, lastsShort: 5 * time.Second,
			breaks: func(_ context.Context, r *round) error { return r.Postgres.Freeze() },
			heals:  func(_ context.Context, r *round) error { return r.Postgres.Thaw() },
			holds:  refusedSoon,
		},
	}
}

// refusal is how soon a write has to be refused: 300 ms, and what the way there takes on a machine that is busy with all of it.
const refusal = 600 * time.Millisecond

// refusedSoon: who could not write was told so soon, and when to come back. A request that was under way when the fault began may have taken its
// connection's timeout.
func refusedSoon(_ context.Context, r *round) error {
	during := r.writesDuring()
	refused, told, late := 0, 0, time.Duration(0)
	for _, w := range during {
		if w.Outcome != history.Unknown || w.Begin < r.broken+time.Second {
			continue
		}
		refused++
		if w.Status == 503 && w.RetryAfter {
			told++
		}
		late = max(late, w.End-w.Begin)
	}
	p99 := percentile(during, history.Unknown, 0.99)
	r.check(told == refused, "%d of %d that failed were told 503 and when to come back", told, refused)
	r.check(late < 3*time.Second*r.leniency() && (refused < 20 || p99 < refusal*r.leniency()), "refused within %v (p99 %v)", late.Round(time.Millisecond), p99.Round(time.Millisecond))
	return nil
}
