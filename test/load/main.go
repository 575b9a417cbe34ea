// Command load measures the embedded default from outside, and checks it meanwhile:
//
//	go run ./test/load [flags] [workload ...]
//
// Without a workload it measures the way of a change from the request to the other person's socket at one rate. The load is open loop: changes are
// sent at their intended times whatever the answers do, and latency counts from the intended time, so a stall is charged to every change it delayed (no
// coordinated omission). A run in which a change was lost, doubled or seen out of order is void and the command fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"noteworks.dev/test/load/anchor"
	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/report"
	"noteworks.dev/test/load/world"
	"noteworks.dev/test/local"
)

type options struct {
	rate, sockets    int
	notes            int
	warmup, duration time.Duration
	soak             time.Duration
	sampled          float64
	out, data        string
	anchors, verbose bool
	docs             bool
}

func main() {
	var o options
	flag.IntVar(&o.rate, "rate", 500, "changes a second, where a workload has one rate")
	flag.IntVar(&o.sockets, "sockets", 50, "people with an open live socket; each watches one note that another person changes")
	flag.IntVar(&o.notes, "notes", 1_000_000, "notes in the largest workspace, and in the largest stack")
	flag.DurationVar(&o.warmup, "warmup", 3*time.Second, "time before counting begins")
	flag.DurationVar(&o.duration, "duration", 15*time.Second, "time counted at each rate")
	flag.DurationVar(&o.soak, "soak", 30*time.Minute, "how long the soak is")
	flag.Float64Var(&o.sampled, "sampled", 0.01, "share of the changes that are traced and exported; below 0: none, and no exporter")
	flag.StringVar(&o.out, "out", filepath.Join("dist", "bench"), "directory for the results")
	flag.StringVar(&o.data, "data", "", "directory that keeps the seeded stack of sizes for the next time; it needs 5 GB for a million notes")
	flag.BoolVar(&o.anchors, "anchors", true, "measure the bare parts, too")
	flag.BoolVar(&o.docs, "docs", false, "write the results into "+document+" and draw its curves; without a workload from what was measured before")
	flag.BoolVar(&o.verbose, "v", false, "print the log of the stack")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprint(os.Stderr, "go run ./test/load [flags] [workload ...]\n\nWorkloads, `all` for each of them:\n")
	for _, w := range workloads() {
		fmt.Fprintf(os.Stderr, "  %-12s %s\n", w.name, w.about)
	}
	fmt.Fprint(os.Stderr, "\nFlags:\n")
	flag.PrintDefaults()
}

// suite is what workloads share.
type suite struct {
	options
	program local.Program
	log     io.Writer
}

func run(ctx context.Context, o options, names []string) error {
	if !o.docs || len(names) > 0 {
		if err := measureAll(ctx, o, names); err != nil {
			return err
		}
	}
	if o.docs {
		return write(o.out)
	}
	return nil
}

func measureAll(ctx context.Context, o options, names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "noteworks-load-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &suite{options: o, log: os.Stderr}
	if !o.verbose {
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			return err
		}
		defer func() { _ = log.Close() }() // only of use while the stack runs
		s.log = log
	}
	fmt.Println("building the stack")
	if s.program, err = local.Build(ctx, dir); err != nil {
		return err
	}
	for _, w := range chosen {
		if err := s.measure(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// measure runs one workload, tells its table and keeps its result, also that of a void run that got as far as having one.
func (s *suite) measure(ctx context.Context, w workload) error {
	fmt.Printf("\n%s: %s\n", w.name, w.about)
	r, err := w.run(ctx, s)
	if r == nil {
		return err
	}
	r.Workload, r.Taken, r.Machine = w.name, time.Now().UTC().Truncate(time.Second), measure.ThisMachine()
	report.Text(os.Stdout, r)
	if r.Text != "" {
		fmt.Println(r.Text)
	}
	if err != nil {
		return err
	}
	return r.Save(s.out)
}

// start starts a fresh stack.
func (s *suite) start(ctx context.Context, args ...string) (*world.World, error) {
	return world.Start(ctx, world.Options{Program: s.program, Log: s.log, Sampled: s.sampled, Args: args})
}

// besides measures the bare parts on the idle stack w: those of the very machine and minute in which the workload runs.
func (s *suite) besides(ctx context.Context, w *world.World) (*measure.Result, error) {
	const each = time.Second
	database, err := w.NewDatabase(ctx, "anchor")
	if err != nil {
		return nil, err
	}
	r, err := anchor.Measure(ctx, database, w.Dir(), each)
	if err != nil {
		return nil, err
	}
	r.Taken, r.Machine = time.Now().UTC().Truncate(time.Second), measure.ThisMachine()
	if err := r.Save(s.out); err != nil {
		return nil, err
	}
	report.Text(os.Stdout, r)
	return r, w.Settle(ctx)
}

// load is a rate for as long as the flags say.
func (s *suite) load(rate int) world.Load {
	return world.Load{PerSecond: float64(rate), Warmup: s.warmup, During: s.duration}
}

// pairs are of the default workspace, and the stack is idle again.
func (s *suite) pairs(ctx context.Context, w *world.World, n int) ([]*world.Pair, error) {
	at, err := w.Default(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := w.Pairs(ctx, at, n)
	if err != nil {
		return nil, err
	}
	return pairs, w.Settle(ctx)
}

func choose(names []string) ([]workload, error) {
	known := workloads()
	if len(names) == 0 {
		return known[:1], nil
	}
	if len(names) == 1 && names[0] == "all" {
		return known, nil
	}
	var chosen []workload
	for _, name := range names {
		found := false
		for _, w := range known {
			if w.name == name {
				chosen, found = append(chosen, w), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no workload %q: %s", name, strings.Join(namesOf(known), ", "))
		}
	}
	return chosen, nil
}

func namesOf(all []workload) []string {
	names := make([]string, len(all))
	for i, w := range all {
		names[i] = w.name
	}
	return names
}
