package main

import (
	"context"
	"fmt"
	"time"

	"noteworks.dev/test/faults/crew"
	"noteworks.dev/test/faults/history"
	"noteworks.dev/test/faults/link"
)

// longest is how long a request may take whatever happens: the gateway's own limit, and a little for the way.
const longest = 13 * time.Second

// networkFaults are faults of the ways between the parts.
func networkFaults() []scenario {
	everywhere := []string{"* to *"}
	inner := []string{"*-* to *", "user to *"}
	slow := crew.Pace{Notes: 3, Every: 500 * time.Millisecond}
	return []scenario{
		poisoned("200 ms between all parts", everywhere, link.Latency(200*time.Millisecond), crew.Pace{}, 20*time.Second),
		poisoned("2 s between gateway and note", []string{"gateway-* to note"}, link.Latency(2*time.Second), crew.Pace{}, 20*time.Second),
		poisoned("2 s to PostgreSQL", []string{"* to postgres"}, link.Latency(2*time.Second), crew.Pace{}, 20*time.Second),
		poisoned("2 s to NATS", []string{"* to nats-1"}, link.Latency(2*time.Second), crew.Pace{}, 20*time.Second),
		poisoned("silence between gateway and note", []string{"gateway-* to note"}, link.Silence(), crew.Pace{}, 30*time.Second),
		poisoned("silence to PostgreSQL", []string{"* to postgres"}, link.Silence(), crew.Pace{}, 20*time.Second),
		hushed(poisoned("silence to NATS", []string{"* to nats-1"}, link.Silence(), crew.Pace{}, 30*time.Second)),
		poisoned("silence to the user service", []string{"* to user", "* to user's keys"}, link.Silence(), crew.Pace{}, 20*time.Second),
		poisoned("no answers from note", []string{"gateway-* to note"}, link.Deaf(), crew.Pace{}, 20*time.Second),
		poisoned("no answers from PostgreSQL", []string{"* to postgres"}, link.Deaf(), crew.Pace{}, 20*time.Second),
		hushed(poisoned("no answers from NATS", []string{"* to nats-1"}, link.Deaf(), crew.Pace{}, 30*time.Second)),
		poisoned("one byte at a time between all parts", inner, link.Slices(), slow, 15*time.Second),
		{
			name: "connections reset at random", row: "TCP resets", lasts: 20 * time.Second, breaks: nothing, during: resets, heals: healLinks,
		},
	}
}

// poisoned is a scenario in which bytes on some links fare badly.
func poisoned(name string, links []string, toxics []link.Toxic, pace crew.Pace, lasts time.Duration) scenario {
	return scenario{
		name: name, row: "latency of 200 ms, 2 s, for ever between parts; 1-byte slices; half-open sockets",
		lasts: lasts, lastsShort: 5 * time.Second, pace: pace, within: 20 * time.Second,
		breaks: func(_ context.Context, r *round) error { return r.links.Poison(r.links.Match(links...), toxics) },
		heals:  healLinks, holds: deadlinesHonoured,
	}
}

// hushed is a fault during which nobody hears of events.
func hushed(s scenario) scenario {
	s.hushed = true
	return s
}

// resets ends all connections of a link, chosen at random, again and again.
func resets(ctx context.Context, r *round) error {
	all := r.links.Match("* to *")
	n := 0
	for end := time.Now().Add(r.lasts()); time.Now().Before(end); n++ {
		one := all[r.random.IntN(len(all)):][:1]
		if err := r.links.Poison(one, link.Reset(0)); err != nil {
			return err
		}
		wait(ctx, time.Duration(20+r.random.IntN(200))*time.Millisecond)
		if err := r.links.Heal(); err != nil {
			return err
		}
		wait(ctx, time.Duration(r.random.IntN(300))*time.Millisecond)
	}
	r.check(n > 0, "%d times", n)
	return nil
}

// deadlinesHonoured: every request ended in time, and those that failed said what a client can act on.
func deadlinesHonoured(_ context.Context, r *round) error {
	late, odd := time.Duration(0), map[string]int{}
	for _, w := range r.shift.History.Writes() {
		late = max(late, w.End-w.Begin)
		if w.Outcome == history.Unknown && w.Status != 503 && w.Status != 504 {
			odd[fmt.Sprint(w.Status)]++
		}
		if w.Status == 503 && !w.RetryAfter {
			odd["503 without Retry-After"]++
		}
	}
	acknowledged, failed := r.outcomes()
	r.check(late < longest, "the longest request took %v", late.Round(10*time.Millisecond))
	if len(odd) > 0 {
		return fmt.Errorf("writes failed by %v", odd)
	}
	r.check(true, "%d writes meanwhile, %d failed by 503 or 504", acknowledged, failed)
	return nil
}
