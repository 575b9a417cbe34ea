package main

import (
	"context"
	"time"

	"noteworks.dev/test/faults/history"
)

// natsFaults are faults of NATS and of the way there.
func natsFaults() []scenario {
	return []scenario{
		{
			name: "NATS down", row: "NATS down for 10 min",
			quick: true, lasts: 10 * time.Minute, lastsShort: 4 * time.Second,
			breaks: func(_ context.Context, r *round) error { r.Process("nats-1").Kill(); return nil },
			during: degraded, heals: startAll, holds: writesWentOn,
		},
	}
}

// degraded: writes go on, readiness stays, a metric says it.
func degraded(ctx context.Context, r *round) error {
	for _, name := range r.Names("") {
		if err := r.eventually(patient(ctx, 15*time.Second), name, "nats_connected", func(v float64) bool { return v == 0 }); err != nil {
			return err
		}
	}
	wait(ctx, r.lasts()-(r.shift.Now()-r.broken)-500*time.Millisecond)
	for _, name := range r.Names("") {
		ready, err := r.metric(ctx, name, "noteworks_ready")
		if err != nil {
			return err
		}
		r.check(ready == 1, "%s is ready", name)
	}
	return nil
}

func writesWentOn(_ context.Context, r *round) error {
	during := r.writesDuring()
	acknowledged, failed := 0, 0
	for _, w := range during {
		switch w.Outcome {
		case history.Acknowledged:
			acknowledged++
		case history.Unknown:
			failed++
		case history.Refused:
		}
	}
	r.check(acknowledged > 0 && failed == 0, "%d writes meanwhile, %d failed", acknowledged, failed)
	return nil
}
