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
	}
}
