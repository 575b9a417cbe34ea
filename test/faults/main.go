// Command faults kills the embedded default at random points while people write, and deletes the storage of its NATS server,
// and holds what they see afterwards against what was acknowledged: nothing lost, nothing doubled, nothing out of order.
// It prints a verdict and the seed that replays the moments of the kills.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.kills, "kills", 100, "rounds in which the process is killed while writing")
	flag.IntVar(&o.wipes, "wipes", 10, "rounds in which NATS's storage is deleted too")
	flag.IntVar(&o.notes, "notes", 8, "notes, each with a writer and a watcher")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "seed of the moments of the kills")
	flag.BoolVar(&o.verbose, "v", false, "print the log of the stack")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	began := time.Now()
	v, err := run(ctx, o)
	fmt.Printf("\n%-34s %8s %8s %8s %8s %8s\n", "fault", "rounds", "writes", "lost", "doubled", "unordered")
	for _, r := range v.rows {
		fmt.Printf("%-34s %8d %8d %8d %8d %8d\n", r.fault, r.rounds, r.writes, r.found.Lost, r.found.Doubled, r.found.Unordered)
	}
	fmt.Printf("back to ready after a kill: median %v, worst %v · seed %d · %v\n", v.median(), v.worst(), o.seed, time.Since(began).Round(time.Second))
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}
