// Package anchor measures the bare parts that the product is made of, on the same machine in the same minute: what a commit, a publish, a flush and a
// round trip cost by themselves. A figure of the product is told beside them, as a ratio: that stays true on a faster or slower machine.
// Imports pgx, NATS and gobwas/ws as the services do, and none of the services.
package anchor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/load/measure"
)

// Columns are those of the result.
func Columns() []measure.Column {
	return []measure.Column{
		{Key: "rate", Title: "a second", Format: "%.0f"},
		{Key: "p50", Title: "p50 ms", Format: "%.3f"},
		{Key: "p99", Title: "p99 ms", Format: "%.3f"},
	}
}

// The labels of rows that ratios are taken to.
const (
	CommitOne  = "one-row commit, 1 connection"
	CommitMany = "one-row commit, 16 connections"
	Publish    = "JetStream publish, one at a time"
	Stream     = "JetStream publish, 256 under way"
	TCP        = "loopback TCP ping-pong"
	WebSocket  = "loopback WebSocket echo"
	Flush      = "write 8 kB and fsync"
)

// Measure runs all of them, each for a while, one after the other. database is the URL of an empty database, dir a directory on the disk in question.
func Measure(ctx context.Context, database, dir string, each time.Duration) (*measure.Result, error) {
	r := &measure.Result{
		Workload: "anchors", Title: "The bare parts", Columns: Columns(),
		Text: "A loop over one part alone, closed (the next begins when the one before has ended). The commits are of a row of 500 bytes by pgx in the stack's own PostgreSQL, the publishes of 800 bytes " +
			"to an embedded NATS server configured like the stack's.",
	}
	var failed error
	for _, a := range []struct {
		label string
		run   func(context.Context, time.Duration) (sample, error)
	}{
		{Flush, func(ctx context.Context, d time.Duration) (sample, error) { return flush(ctx, dir, d) }},
		{CommitOne, func(ctx context.Context, d time.Duration) (sample, error) { return commit(ctx, database, 1, d) }},
		{CommitMany, func(ctx context.Context, d time.Duration) (sample, error) { return commit(ctx, database, 16, d) }},
		{Publish, publishSync},
		{Stream, publishAsync},
		{TCP, tcp},
		{WebSocket, webSocket},
	} {
		s, err := a.run(ctx, each)
		if err != nil {
			failed = fmt.Errorf("%s: %w", a.label, err)
			break
		}
		r.Rows = append(r.Rows, s.row(a.label))
	}
	return r, failed
}

type sample struct {
	latencies *measure.Latencies
	took      time.Duration
}

func (s sample) row(label string) measure.Row {
	return measure.Row{Label: label, Values: map[string]float64{
		"rate": float64(s.latencies.Count()) / s.took.Seconds(),
		"p50":  measure.Millis(s.latencies.At(50)),
		"p99":  measure.Millis(s.latencies.At(99)),
	}}
}

// loop has n workers call once, again and again, for a while. Each worker gets its own from begin.
func loop(ctx context.Context, n int, during time.Duration, begin func(worker int) (once func() error, end func(), err error)) (sample, error) {
	s := sample{latencies: measure.NewLatencies()}
	workers := make([]func() error, n)
	for i := range workers {
		once, end, err := begin(i)
		if err != nil {
			return s, err
		}
		defer end()
		workers[i] = once
	}
	var (
		all    sync.WaitGroup
		failed atomic.Pointer[error]
	)
	began := time.Now()
	for _, once := range workers {
		all.Go(func() {
			for time.Since(began) < during && failed.Load() == nil && ctx.Err() == nil {
				from := time.Now()
				if err := once(); err != nil {
					failed.Store(&err)
					return
				}
				s.latencies.Record(time.Since(from))
			}
		})
	}
	all.Wait()
	s.took = time.Since(began)
	if err := failed.Load(); err != nil {
		return s, *err
	}
	return s, ctx.Err()
}
