package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"noteworks.dev/test/client"
)

// Shift is a desk at work through a fault: the writer tries until each change is answered, the watcher comes back with the last cursor whenever
// the socket breaks.
type Shift struct {
	desk   *Desk
	stop   context.CancelFunc
	ended  sync.WaitGroup
	err    error
	result Result
}

// Result is what a shift went through.
type Result struct {
	// Writes were acknowledged, Unanswered were not and had to be tried again, Sockets were opened.
	Writes, Unanswered, Sockets int
	// Outage is the longest time from one acknowledged write to the next.
	Outage time.Duration
	// Trouble is why the first change without an answer had none, and when.
	Trouble string
}

// Work begins a shift with a change every so often. It ends by End, which must be called.
func (d *Desk) Work(ctx context.Context, every time.Duration) *Shift {
	ctx, stop := context.WithCancel(ctx)
	s := &Shift{desk: d, stop: stop}
	d.writes = 0
	s.ended.Go(func() { s.watch(ctx) })
	s.ended.Go(func() { s.err = s.write(ctx, every) })
	return s
}

// End lets the writer have its last answer, requires that the database is what was acknowledged and that the watcher and the search have
// seen it, each within 30 s, and returns what the shift went through.
func (s *Shift) End(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	s.stop()
	s.ended.Wait()
	s.result.Writes = s.desk.writes
	if s.err != nil {
		return s.result, s.err
	}
	if err := again(ctx, s.desk.Open); err != nil {
		return s.result, fmt.Errorf("open the desk after the fault: %w", err)
	}
	defer s.desk.Close()
	if err := s.settle(ctx); err != nil {
		return s.result, err
	}
	return s.result, s.desk.CaughtUp(ctx)
}

// again repeats do until it succeeds.
func again(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

// watch keeps a socket open and resumes it at the last cursor.
func (s *Shift) watch(ctx context.Context) {
	for ctx.Err() == nil {
		live, err := s.desk.watcher.Watch(ctx, s.desk.cursor)
		if err != nil {
			if _, refused := errors.AsType[*client.Refused](err); refused {
				_ = s.desk.watcher.Refresh(ctx) // if that fails, too, the next try will tell
			}
			_ = pause(ctx, 200*time.Millisecond)
			continue
		}
		s.result.Sockets++
		release := context.AfterFunc(ctx, live.Close)
		s.desk.read(live)
		release()
		live.Close()
	}
}

func (s *Shift) write(ctx context.Context, every time.Duration) error {
	last := time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		// The request outlives the end of the shift: what is under way is to be answered.
		err := s.desk.change(context.WithoutCancel(ctx))
		if err == nil {
			s.result.Outage = max(s.result.Outage, time.Since(last))
			last = time.Now()
			_ = pause(ctx, every-time.Since(began))
			continue
		}
		if s.result.Unanswered++; s.result.Trouble == "" {
			s.result.Trouble = fmt.Sprintf("%s: %v", began.Format("15:04:05.000"), err)
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle finds out what became of the changes without an answer, until ctx ends; End asks once more then. Only a contradiction, or a refusal
// that no fault explains, is an error.
func (s *Shift) settle(ctx context.Context) error {
	for {
		known, err := s.look(ctx)
		if known || err != nil || pause(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

// look says whether the note could be read and compared.
func (s *Shift) look(ctx context.Context) (known bool, err error) {
	err = s.desk.compare(context.WithoutCancel(ctx))
	if _, lost := errors.AsType[*Lost](err); lost || err == nil {
		return true, err
	}
	switch status := client.StatusOf(err); {
	case status == http.StatusUnauthorized:
		_ = s.desk.writer.Refresh(ctx) // if that fails, too, the next look will tell
	case status/100 == 4 && status != http.StatusTooManyRequests:
		return true, err
	}
	return false, nil
}
