package main

import (
	"context"
	"hash/fnv"
	"time"

	"noteworks.dev/test/faults/crew"
	"noteworks.dev/test/local"
)

// scenario is one fault: what is broken, how it is healed, and what must hold beside the rules of the history, which hold always.
type scenario struct {
	name string
	// row is the fault's words in the list of what must be survived.
	row string
	// quick ones are part of the short round, and short in it.
	quick bool
	// plays plays it in its own way, on no stack of ours.
	plays func(ctx context.Context, seed uint64) result
	// own says that the stack is made for this scenario alone: as shape says, or because little is left of it.
	own   bool
	shape func(w *world, o *local.SpreadOptions) error
	pace  crew.Pace // zero: the usual
	// lasts is how long it stays broken, in the whole round and in the short one (0: as long).
	lasts, lastsShort time.Duration
	// breaks breaks; heals, if there is something to heal, makes good again. What is asserted in between goes into during, which is run beside the load
	// while it is broken and has until the end of that.
	breaks func(ctx context.Context, r *round) error
	during func(ctx context.Context, r *round) error
	heals  func(ctx context.Context, r *round) error
	// within is how long after healing each note is written, and its change on every screen.
	within time.Duration
	// holds is asked at the end.
	holds func(ctx context.Context, r *round) error
	// mayResync says that readers may be told to start anew: what they missed can not be told any more.
	mayResync bool
	// hushed says that nobody hears of events meanwhile. Readers come back when they have heard nothing for crew.Silence, and a gateway that waits for NATS
	// has them start anew after ten seconds.
	hushed bool
	// errors are lines that may be in the logs at the level ERROR: parts of them.
	errors []string
}

// number is the scenario's own share of the seed, so that it replays the same whatever is played beside it.
func (s *scenario) number() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.name)) // never fails
	return h.Sum64()
}

// scenarios are all there are; those of Jaeger, if its program is there.
func scenarios(jaeger string) []scenario {
	var all []scenario
	for _, some := range [][]scenario{
		processes(), migrations(), natsFaults(), databaseFaults(), networkFaults(), backlogFaults(), eventFaults(), peopleFaults(), diskFaults(), collectorFaults(), jaegerFaults(jaeger),
		allinoneFaults(),
	} {
		all = append(all, some...)
	}
	return all
}
