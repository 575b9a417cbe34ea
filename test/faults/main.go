// Command faults runs the whole stack as separate programs on loopback, with a proxy between every two of them, breaks it while people write and
// read, and holds what they were answered and shown against the rules: nothing acknowledged is lost, nothing comes twice or out of order, nobody
// sees what is not theirs, each note's answers fit one order, and it is back in its steady state by itself within a time.
//
// It prints a table with a line for each fault, and the seed that replays the moments and choices. It exits with 1 if anything did not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	only     string
	quick    bool
	list     bool
	seed     uint64
	alerts   string
	jaeger   string
	markdown string
	keep     string
	lasts    time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "names of faults, or parts of names, separated by commas; empty: all")
	flag.BoolVar(&o.quick, "quick", false, "the short round: the quickest faults, each for a short time")
	flag.BoolVar(&o.list, "list", false, "print the faults and end")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "seed of the moments and choices")
	flag.StringVar(&o.alerts, "alerts", "", "a directory for every service's metrics: play the faults that alerts belong to, as long as these need")
	flag.StringVar(&o.jaeger, "jaeger", "", "Jaeger's program, for its faults; empty: without them")
	flag.StringVar(&o.markdown, "markdown", "", "a file: write the table as Markdown")
	flag.StringVar(&o.keep, "keep", "", "a directory: keep the logs of a stack in which something did not hold")
	flag.DurationVar(&o.lasts, "lasts", 0, "how long each fault lasts at most; 0: as long as its list says")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// chosen are the scenarios of a round.
func (o options) chosen() []scenario {
	all := scenarios(o.jaeger)
	return slices.DeleteFunc(slices.Clone(all), func(s scenario) bool {
		if o.only == "" {
			_, alerts := alertings()[s.name]
			return o.quick && !s.quick || o.alerts != "" && !alerts
		}
		return !slices.ContainsFunc(strings.Split(o.only, ","), func(part string) bool { return s.called(strings.TrimSpace(part), all) })
	})
}

// called says whether a scenario is meant by a name, or by a part of one if none of all has it as its name.
func (s *scenario) called(part string, all []scenario) bool {
	if slices.ContainsFunc(all, func(other scenario) bool { return other.name == part }) {
		return s.name == part
	}
	return strings.Contains(s.name, part)
}

func run(ctx context.Context, o options, out io.Writer) error {
	chosen := o.chosen()
	if o.list {
		for _, s := range chosen {
			_, _ = fmt.Fprintf(out, "%-38s %s\n", s.name, s.row)
		}
		return nil
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no fault is called %q; -list tells them", o.only)
	}
	began := time.Now()
	results, err := playAll(ctx, o, chosen, out)
	table(out, results)
	bad := 0
	for _, r := range results {
		if !r.good() {
			bad++
		}
	}
	_, _ = fmt.Fprintf(out, "seed %d · %d faults, in %d something did not hold · %v\n", o.seed, len(results), bad, time.Since(began).Round(time.Second))
	if o.markdown != "" && err == nil {
		err = writeMarkdown(o.markdown, results)
	}
	if err == nil && bad > 0 {
		err = errors.New("something did not hold")
	}
	return err
}

func writeMarkdown(path string, results []result) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	markdown(file, results)
	return file.Close()
}

func playAll(ctx context.Context, o options, chosen []scenario, out io.Writer) ([]result, error) {
	p, err := newPlayer(ctx, o, out)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var results []result
	for _, s := range chosen {
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		_, _ = fmt.Fprintf(out, "%s %s …\n", time.Now().Format("15:04:05"), s.name)
		r := p.play(ctx, s, o.seed^s.number())
		line(out, r)
		results = append(results, r)
	}
	return results, nil
}
