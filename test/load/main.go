// Command load measures the way of a change from the request to the other person's socket on the embedded default, and checks it meanwhile.
// The load is open loop: changes are sent at their intended times whatever the answers do, and latency counts from the intended time,
// so a stall is charged to every change it delayed (no coordinated omission).
// A run in which a change was lost, doubled or seen out of order is void and the command fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"noteworks.dev/test/local"
)

func main() {
	var o options
	flag.IntVar(&o.rate, "rate", 500, "changes a second")
	flag.IntVar(&o.sockets, "sockets", 50, "people with an open live socket; each watches one note that another person changes")
	flag.DurationVar(&o.warmup, "warmup", 3*time.Second, "time before counting begins")
	flag.DurationVar(&o.duration, "duration", 30*time.Second, "time counted")
	flag.BoolVar(&o.verbose, "v", false, "print the log of the stack")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "noteworks-load-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // the private PostgreSQL of root runs as somebody else
		return err
	}
	fmt.Println("building and starting the stack")
	program, err := local.Build(ctx, dir)
	if err != nil {
		return err
	}
	log, err := o.log(dir)
	if err != nil {
		return err
	}
	stack, err := program.Start(ctx, dir+"/data", log)
	if err != nil {
		return err
	}
	defer stack.Kill()
	idle, err := settled(ctx, stack)
	if err != nil {
		return err
	}
	fmt.Printf("idle: %d MB resident (allinone without PostgreSQL)\n", idle.Resident>>20)

	crowd, err := gather(ctx, stack, o)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	defer crowd.leave()
	before := stack.Usage()
	began := time.Now()
	if err := crowd.run(ctx, o); err != nil {
		return err
	}
	used := stack.Usage().CPU - before.CPU
	report(crowd, o, used, time.Since(began), stack.Usage().Resident)
	took, err := stack.Stop()
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	fmt.Printf("stopped in %v\n", took.Round(time.Millisecond))
	return crowd.verdict()
}

// settled waits until the process has been idle for two seconds, so that start-up work is not counted as idle memory.
func settled(ctx context.Context, s *local.Stack) (local.Usage, error) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	last := s.Usage()
	for range 10 {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-tick.C:
		}
		now := s.Usage()
		if now.CPU-last.CPU < 200*time.Millisecond {
			return now, nil
		}
		last = now
	}
	return last, nil
}
