package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"noteworks.dev/test/local"
)

// player plays scenarios one after the other, on one stack as long as it is good.
type player struct {
	options  options
	dir      string
	programs local.Programs
	out      io.Writer
	record   *recorder
	shared   *world
}

// newPlayer builds the programs. Close it.
func newPlayer(ctx context.Context, o options, out io.Writer) (*player, error) {
	p := &player{options: o, out: out}
	if o.alerts != "" {
		if err := os.MkdirAll(o.alerts, 0o755); err != nil {
			return nil, err
		}
		p.record = &recorder{dir: o.alerts}
	}
	var err error
	if p.dir, err = os.MkdirTemp("", "noteworks-programs-"); err != nil {
		return nil, err
	}
	if p.programs, err = local.BuildPrograms(ctx, p.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

func (p *player) close() {
	p.leave()
	_ = os.RemoveAll(p.dir)
}

func (p *player) play(ctx context.Context, s scenario, seed uint64) result {
	if s.plays != nil {
		p.leave() // the machine is for one of them
		r := s.plays(ctx, seed)
		r.scenario = s
		return r
	}
	if s.own {
		p.leave()
		w, err := newWorld(ctx, p.programs, s.shape)
		if err != nil {
			return result{scenario: s, seed: seed, failed: []string{err.Error()}}
		}
		defer w.close()
		r := play(ctx, w, s, seed, p.options, p.record)
		p.keep(w, &r)
		return r
	}
	if p.shared == nil {
		var err error
		if p.shared, err = newWorld(ctx, p.programs, nil); err != nil {
			return result{scenario: s, seed: seed, failed: []string{err.Error()}}
		}
	}
	r := play(ctx, p.shared, s, seed, p.options, p.record)
	p.keep(p.shared, &r)
	if !r.good() { // who knows what is left of it
		p.leave()
	}
	return r
}

// keep copies the logs of a stack in which something did not hold.
func (p *player) keep(w *world, r *result) {
	if p.options.keep == "" || r.good() {
		return
	}
	to := filepath.Join(p.options.keep, strings.ReplaceAll(r.scenario.name, " ", "-"))
	if err := os.CopyFS(to, os.DirFS(w.logs.dir)); err == nil {
		_, _ = fmt.Fprintf(p.out, "    logs in %s\n", to)
	}
}

func (p *player) leave() {
	if p.shared != nil {
		p.shared.close()
		p.shared = nil
	}
}
