package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/load/measure"
)

// event is what is sent: the change of one key to a version, and when that was meant to happen.
type event struct {
	Key     int    `json:"key"`
	Version int    `json:"version"`
	At      int64  `json:"at"`
	Body    string `json:"body"`
}

// keys are written to by one writer each, as the notes of the suite are.
const keys = 50

// body is as long as a change of the suite.
func body() string { return strings.Repeat("The quick brown fox jumps over the lazy dog. ", 10) }

// drive opens a peer, writes at a rate, and says what became of it. That its receiver gets something twice or out of order is told, and no failure: a peer
// may not promise otherwise. A loss is one.
func drive(ctx context.Context, o options, rate int, open func(context.Context, string, func(event)) (peer, error)) (row measure.Row, err error) {
	ledgers := make([]*measure.Ledger, keys)
	for i := range ledgers {
		ledgers[i] = measure.NewLedger(0)
	}
	var counting atomic.Int64 // since when, in Unix nanoseconds
	took, answers := measure.NewLatencies(), measure.NewLatencies()
	p, err := open(ctx, o.database, func(e event) {
		ledgers[e.Key].Saw(e.Version)
		if since := counting.Load(); since > 0 && e.At >= since {
			took.Record(time.Since(time.Unix(0, e.At)))
		}
	})
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	start := time.Now()
	begin := start.Add(o.warmup)
	counting.Store(begin.UnixNano())
	all := measure.Rate(start, float64(rate), o.warmup+o.duration)
	var (
		writers sync.WaitGroup
		failed  atomic.Pointer[error]
	)
	for key := range keys {
		writers.Go(func() {
			version := 0
			all.Share(key, keys).Run(ctx, func(at time.Time) {
				e := event{Key: key, Version: version + 1, At: at.UnixNano(), Body: body()}
				if err := p.write(ctx, e); err != nil {
					failed.Store(&err)
					return
				}
				version++
				ledgers[key].Written(version)
				if !at.Before(begin) {
					answers.Record(time.Since(at))
				}
			})
		})
	}
	select {
	case <-time.After(time.Until(begin)):
	case <-ctx.Done():
	}
	own, server := measure.Process(os.Getpid()), tree(o.postgres)
	writers.Wait()
	if err := failed.Load(); err != nil {
		return row, *err
	}
	verdict := settle(ctx, ledgers)
	own, server = measure.Process(os.Getpid()).Sub(own), tree(o.postgres).Sub(server)
	n := answers.Count()
	row.Values = map[string]float64{
		"p50": measure.Millis(took.At(50)), "p90": measure.Millis(took.At(90)), "p99": measure.Millis(took.At(99)), "max": measure.Millis(took.At(100)),
		"answer p50": measure.Millis(answers.At(50)), "program": own.PerOperation(n), "database": server.PerOperation(n), "cpu": own.PerOperation(n) + server.PerOperation(n),
		"doubled": float64(verdict.Doubled), "inverted": float64(verdict.Inverted),
	}
	if verdict.Lost > 0 {
		return row, fmt.Errorf("%w: lost %d", measure.ErrVoid, verdict.Lost)
	}
	return row, ctx.Err()
}

func tree(pid int) measure.Usage {
	if pid == 0 {
		return measure.Usage{}
	}
	return measure.Tree(pid)
}

// settle waits until everything has arrived, 30 s at most.
func settle(ctx context.Context, ledgers []*measure.Ledger) (sum measure.Verdict) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; {
		behind := 0
		for _, l := range ledgers {
			behind += l.Behind()
		}
		if behind == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, l := range ledgers {
		sum = sum.Add(l.Verdict())
	}
	return sum
}
