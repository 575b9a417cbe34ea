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

// allinoneFaults are faults of the one program that holds everything.
func allinoneFaults() []scenario {
	return []scenario{
		{
			name: "allinone killed", row: "a service killed (SIGKILL): the embedded default, in rounds",
			plays: func(ctx context.Context, seed uint64) result {
				return rounds(ctx, seed, 30, func(string) error { return nil })
			},
		},
		{
			name: "allinone killed, NATS's files deleted", row: "NATS killed and its files gone: the embedded default, in rounds",
			plays: func(ctx context.Context, seed uint64) result {
				return rounds(ctx, seed, 10, func(dir string) error { return os.RemoveAll(filepath.Join(dir, "data", "nats")) })
			},
		},
	}
}

// box is one allinone, its data, and desks that outlive it.
type box struct {
	program local.Program
	dir     string
	port    string
	random  *rand.Rand
	desks   []*desk.Desk
	starts  []time.Duration
}

// rounds kills the program at a random moment, breaks what break does, starts it again and checks, n times.
func rounds(ctx context.Context, seed uint64, n int, breaks func(dir string) error) result {
	r := result{seed: seed}
	b, err := newBox(ctx, seed)
	if err != nil {
		r.failed = []string{err.Error()}
		return r
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	for i := range n {
		writes, err := b.round(ctx, breaks)
		r.writes += writes
		if err != nil {
			r.failed = append(r.failed, fmt.Sprintf("round %d: %v", i+1, err))
			break
		}
	}
	for _, d := range b.desks {
		v := d.Verdict()
		r.found.Lost, r.found.Doubled, r.found.Unordered = r.found.Lost+v.Lost, r.found.Doubled+v.Doubled, r.found.Unordered+v.Unordered
	}
	slices.Sort(b.starts)
	if len(b.starts) > 0 {
		r.broke = fmt.Sprintf("%d kills, ready again after %v in the middle", len(b.starts), b.starts[len(b.starts)/2].Round(time.Millisecond))
		r.steady = b.starts[len(b.starts)-1]
	}
	return r
}

func newBox(ctx context.Context, seed uint64) (*box, error) {
	dir, err := os.MkdirTemp("", "noteworks-faults-")
	if err != nil {
		return nil, err
	}
	b := &box{dir: dir, random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // it is to be repeated
	if err := os.Chmod(dir, 0o755); err != nil {                // the private PostgreSQL of root runs as somebody else
		return nil, err
	}
	if b.port, err = freePort(); err != nil {
		return nil, err
	}
	if b.program, err = local.Build(ctx, dir); err != nil {
		return nil, err
	}
	stack, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer stack.Kill()
	const notes = 8
	for i := range notes {
		d, err := desk.New(ctx, stack.URL, strconv.Itoa(i))
		if err != nil {
			return nil, fmt.Errorf("set up: %w", err)
		}
		b.desks = append(b.desks, d)
	}
	return b, nil
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

func (b *box) start(ctx context.Context) (*local.Stack, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return b.program.Start(ctx, filepath.Join(b.dir, "data"), io.Discard, "--port", b.port)
}

func (b *box) round(ctx context.Context, breaks func(dir string) error) (writes int, err error) {
	stack, err := b.start(ctx)
	if err != nil {
		return 0, err
	}
	if err := b.each(func(d *desk.Desk) error { return d.Open(ctx) }); err != nil {
		stack.Kill()
		return 0, err
	}
	var busy sync.WaitGroup
	for _, d := range b.desks {
		busy.Go(func() { d.Write(ctx) })
	}
	wait(ctx, time.Duration(20+b.random.IntN(1200))*time.Millisecond)
	stack.Kill()
	busy.Wait()
	for _, d := range b.desks {
		writes += d.Close()
	}
	if err := breaks(b.dir); err != nil {
		return writes, err
	}

	began := time.Now()
	if stack, err = b.start(ctx); err != nil {
		return writes, err
	}
	b.starts = append(b.starts, time.Since(began))
	defer stack.Kill()
	return writes, b.each(func(d *desk.Desk) error { return d.Check(ctx) })
}

func (b *box) each(do func(*desk.Desk) error) error {
	errs := make([]error, len(b.desks))
	var all sync.WaitGroup
	for i, d := range b.desks {
		all.Go(func() { errs[i] = do(d) })
	}
	all.Wait()
	return errors.Join(errs...)
}
