package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func report(c *crowd, o options, cpu, wall time.Duration, resident int64) {
	fmt.Printf("\n%d changes a second, %d open sockets, %v counted\n\n", o.rate, o.sockets, o.duration)
	fmt.Printf("%-28s %9s %9s %9s %9s %9s\n", "from the intended time", "p50", "p90", "p99", "p99.9", "max")
	row("request to answer", c.answers)
	row("request to screen", c.screens)
	lost, inverted := c.losses()
	fmt.Printf("\nsent %d · delivered %d · lost %d · doubled or out of order %d · failed %d\n", c.sent.Load(), c.delivered.Load(), lost, inverted, c.failed.Load())
	fmt.Printf("CPU of allinone %.0f µs a change (%.0f %% of one core), %d MB resident\n",
		float64(cpu.Microseconds())/float64(max(1, c.sent.Load())), 100*cpu.Seconds()/wall.Seconds(), resident>>20)
}

func row(name string, h *hdrhistogram.Histogram) {
	fmt.Printf("%-28s", name)
	for _, v := range []int64{h.ValueAtQuantile(50), h.ValueAtQuantile(90), h.ValueAtQuantile(99), h.ValueAtQuantile(99.9), h.Max()} {
		fmt.Printf(" %6.2f ms", float64(v)/1000)
	}
	fmt.Println()
}

func (c *crowd) losses() (lost, inverted int) {
	for _, p := range c.pairs {
		lost += p.lost + p.version - p.seen
		inverted += p.inverted
	}
	return lost, inverted
}

func (c *crowd) verdict() error {
	if lost, inverted := c.losses(); lost+inverted > 0 || c.failed.Load() > 0 {
		return errors.Join(fmt.Errorf("the run is void: lost %d, doubled or out of order %d, failed %d", lost, inverted, c.failed.Load()), c.firstErr)
	}
	return nil
}
