package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"noteworks.dev/test/desk"
	"noteworks.dev/test/local"
)

type options struct {
	kills, wipes, notes int
	seed                uint64
	verbose             bool
}

type row struct {
	fault          string
	rounds, writes int
	found          desk.Verdict
}

type verdict struct {
	rows   []row
	starts []time.Duration
}

func (v *verdict) median() time.Duration {
	if len(v.starts) == 0 {
		return 0
	}
	slices.Sort(v.starts)
	return v.starts[len(v.starts)/2].Round(time.Millisecond)
}

func (v *verdict) worst() time.Duration {
	if len(v.starts) == 0 {
		return 0
	}
	return slices.Max(v.starts).Round(time.Millisecond)
}

type world struct {
	program local.Program
	dir     string
	port    string
	log     io.Writer
	random  *rand.Rand
	desks   []*desk.Desk
	verdict verdict
}

func run(ctx context.Context, o options) (verdict, error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = os.RemoveAll(w.dir) }()
	if err := w.rounds(ctx, "killed while writing", o.kills, func() error { return nil }); err != nil {
		return w.verdict, err
	}
	err = w.rounds(ctx, "killed, NATS's storage deleted", o.wipes, func() error { return os.RemoveAll(filepath.Join(w.dir, "data", "nats")) })
	return w.verdict, err
}

func newWorld(ctx context.Context, o options) (*world, error) {
	dir, err := os.MkdirTemp("", "noteworks-faults-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, log: os.Stderr, random: rand.New(rand.NewPCG(o.seed, 0))}
	if err := os.Chmod(dir, 0o755); err != nil { // the private PostgreSQL of root runs as somebody else
		return nil, err
	}
	if !o.verbose {
		if w.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
			return nil, err
		}
	}
	if w.port, err = freePort(); err != nil {
		return nil, err
	}
	if w.program, err = local.Build(ctx, dir); err != nil {
		return nil, err
	}
	stack, err := w.start(ctx)
	if err != nil {
		return nil, err
	}
	defer stack.Kill()
	for i := range o.notes {
		d, err := desk.New(ctx, stack.URL, strconv.Itoa(i))
		if err != nil {
			return nil, fmt.Errorf("set up: %w", err)
		}
		w.desks = append(w.desks, d)
	}
	return w, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func (w *world) start(ctx context.Context) (*local.Stack, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	return w.program.Start(ctx, filepath.Join(w.dir, "data"), w.log, "--port", w.port)
}

// rounds writes, kills at a random moment, breaks what break does, starts again and checks, n times.
func (w *world) rounds(ctx context.Context, fault string, n int, breaks func() error) error {
	if n == 0 {
		return nil
	}
	r := row{fault: fault}
	defer func() { w.verdict.rows = append(w.verdict.rows, r) }()
	for i := range n {
		writes, err := w.round(ctx, breaks)
		r.rounds, r.writes = r.rounds+1, r.writes+writes
		if err != nil {
			return fmt.Errorf("%s, round %d: %w", fault, i+1, err)
		}
		r.found = desk.Verdict{}
		for _, d := range w.desks {
			r.found = r.found.Add(d.Verdict())
		}
		fmt.Printf("%s: round %d of %d, %d writes acknowledged, %v\n", fault, i+1, n, writes, r.found)
		if !r.found.Good() {
			return errors.New("what was seen differs from what was acknowledged")
		}
	}
	return nil
}

func (w *world) round(ctx context.Context, breaks func() error) (writes int, err error) {
	stack, err := w.start(ctx)
	if err != nil {
		return 0, err
	}
	if err := w.each(func(d *desk.Desk) error { return d.Open(ctx) }); err != nil {
		stack.Kill()
		return 0, err
	}
	var busy sync.WaitGroup
	for _, d := range w.desks {
		busy.Go(func() { d.Write(ctx) })
	}
	time.Sleep(time.Duration(20+w.random.IntN(1200)) * time.Millisecond)
	stack.Kill()
	busy.Wait()
	for _, d := range w.desks {
		writes += d.Close()
	}
	if err := breaks(); err != nil {
		return writes, err
	}

	began := time.Now()
	if stack, err = w.start(ctx); err != nil {
		return writes, err
	}
	w.verdict.starts = append(w.verdict.starts, time.Since(began))
	defer stack.Kill()
	return writes, w.each(func(d *desk.Desk) error { return d.Check(ctx) })
}

func (w *world) each(do func(*desk.Desk) error) error {
	errs := make([]error, len(w.desks))
	var all sync.WaitGroup
	for i, d := range w.desks {
		all.Go(func() { errs[i] = do(d) })
	}
	all.Wait()
	return errors.Join(errs...)
}
