package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/client"
	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// signin has a crowd sign in while others write.
func signin(ctx context.Context, s *suite) (*measure.Result, error) {
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	pairs, err := s.pairs(ctx, w, s.sockets)
	if err != nil {
		return nil, err
	}
	defer world.Leave(pairs)
	at, err := w.Default(ctx)
	if err != nil {
		return nil, err
	}
	people, err := w.People(ctx, at, 400)
	if err != nil {
		return nil, err
	}
	r := &measure.Result{
		Title: fmt.Sprintf("%d changes a second while people sign in (ms to the screen)", s.rate),
		Text:  "Each sign-in is a password, hashed by argon2id on purpose for 28 ms of a core; as many are tried at once as the row says, without a pause.",
		Columns: []measure.Column{
			{Key: "p50", Title: "p50", Format: "%.2f"}, {Key: "p90", Title: "p90", Format: "%.2f"}, {Key: "p99", Title: "p99", Format: "%.2f"}, {Key: "max", Title: "max", Format: "%.2f"},
			{Key: "signed in", Title: "sign-ins a second", Format: "%.1f"}, {Key: "sign-in p50", Title: "p50", Format: "%.0f"}, {Key: "sign-in p99", Title: "p99", Format: "%.0f"},
			{Key: "turned away", Title: "told to wait", Format: "%.0f"},
		},
	}
	for _, atOnce := range []int{0, 2, 8, 64} {
		storm := newStorm(ctx, w, people)
		storm.begin(atOnce)
		t, err := world.Drive(ctx, pairs, w.Usage, s.load(s.rate))
		took, failed := storm.end()
		r.Verdict = r.Verdict.Add(t.Verdict)
		if err := errors.Join(err, failed); err != nil {
			return r, err
		}
		v := quantiles(t.Screens)
		v["signed in"] = float64(storm.took.Count()) / took.Seconds()
		v["sign-in p50"], v["sign-in p99"] = measure.Millis(storm.took.At(50)), measure.Millis(storm.took.At(99))
		v["turned away"] = float64(storm.refused.Load())
		r.Rows = append(r.Rows, measure.Row{Label: fmt.Sprintf("%d at once", atOnce), Values: v})
		if err := w.Settle(ctx); err != nil {
			return r, err
		}
	}
	return r, nil
}

// signStorm signs people in, one after the other, in several loops.
type signStorm struct {
	world   *world.World
	people  []world.Person
	ctx     context.Context
	stop    context.CancelFunc
	began   time.Time
	running sync.WaitGroup
	next    atomic.Int64
	refused atomic.Int64
	took    *measure.Latencies
	failed  atomic.Pointer[error]
}

func newStorm(ctx context.Context, w *world.World, people []world.Person) *signStorm {
	ctx, stop := context.WithCancel(ctx)
	return &signStorm{world: w, people: people, ctx: ctx, stop: stop, took: measure.NewLatencies()}
}

func (s *signStorm) begin(loops int) {
	s.began = time.Now()
	transport := client.Loopback()
	for range loops {
		s.running.Go(func() {
			for s.ctx.Err() == nil {
				s.once(transport)
			}
		})
	}
}

func (s *signStorm) once(transport http.RoundTripper) {
	p := s.people[int(s.next.Add(1))%len(s.people)]
	from := time.Now()
	err := client.New(s.world.URL, transport).Login(s.ctx, p.Email, s.world.Password)
	switch {
	case err == nil:
		s.took.Record(time.Since(from))
	case s.ctx.Err() != nil: // the storm is over
	case client.StatusOf(err) == http.StatusServiceUnavailable || client.StatusOf(err) == http.StatusTooManyRequests:
		s.refused.Add(1)
	default:
		s.failed.Store(&err)
	}
}

func (s *signStorm) end() (time.Duration, error) {
	s.stop()
	s.running.Wait()
	if err := s.failed.Load(); err != nil {
		return time.Since(s.began), *err
	}
	return time.Since(s.began), nil
}
