package main

import (
	"context"

	"noteworks.dev/test/load/measure"
)

// workload is one thing to measure. It starts the stacks it needs. A result that comes with an error is told, and not kept.
type workload struct {
	name, about string
	run         func(ctx context.Context, s *suite) (*measure.Result, error)
}

// workloads are in the order of the series. The first is what is measured when nothing is asked for.
func workloads() []workload {
	return []workload{
		{"screen", "a change's way to the other person's screen, at one rate", screen},
		{"rates", "the same at 250 to 8,000 a second, until 99 of 100 take longer than a second", rates},
		{"fanout", "one note with 1 to 5,000 viewers", fanout},
		{"idle", "what 18,000 idle sockets weigh", idle},
		{"reconnect", "10,000 sockets that come back at once, without a gap", reconnect},
		{"sizes", "reading, listing and searching 1,000, 100,000 and 1 million notes of one workspace", sizes},
		{"signin", "changes while people sign in", signin},
		{"tracing", "what a change costs with 0, 1, 10 and 100 % of them traced", tracing},
		{"tenants", "what a change costs with 10,000 workspaces and 1 million notes, against 10 and 1,000", tenants},
		{"peers", "the way of an event beside Watermill and River", peers},
		{"soak", "memory, goroutines and latency over half an hour", soak},
	}
}
