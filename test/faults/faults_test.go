package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// The short round of `make faults`: the quickest faults on real processes, by a seed that stays, and kills at moments that nobody has chosen.
func TestTheStackSurvivesTheQuickestFaults(t *testing.T) {
	t.Parallel()
	const always = 1
	by := rand.Uint64N(1_000_000)
	t.Logf("kills by seed %d", by)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	p, err := newPlayer(ctx, options{quick: true}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for _, s := range (options{quick: true}).chosen() {
		seed := uint64(always)
		if s.name == killsAtRandom {
			seed = by
		}
		r := p.play(ctx, s, seed^s.number())
		var told strings.Builder
		line(&told, r)
		t.Log(told.String())
		if !r.good() {
			t.Errorf("%s did not hold: go run ./test/faults -quick -only '%s' -seed %d", s.name, s.name, seed)
		}
	}
}

func TestEveryFaultHasANameOfItsOwnAndSaysWhatItBreaks(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range scenarios("jaeger") {
		if names[s.name] || s.name == "" || s.row == "" || s.plays == nil && s.breaks == nil {
			t.Errorf("%q, %q", s.name, s.row)
		}
		names[s.name] = true
	}
	for name := range alertings() {
		if !names[name] {
			t.Errorf("alerts belong to %q, which is no fault", name)
		}
	}
	if len((options{only: "NATS down"}).chosen()) == 0 || len((options{only: "no such"}).chosen()) != 0 {
		t.Error("-only does not choose")
	}
}
