// Package groupcommit lets callers who come at the same time share one transaction, as databases do with their log: whoever comes while one is under way
// waits, and goes with the next, together with all others who came meanwhile. The commit before is the only clock, so a caller who is alone waits for nobody,
// and the more there are the less each costs.
//
// It promises: two entries with the same key are never in the same group, and go in the order of their calls; a caller who left before their group began
// has done nothing; nobody waits longer than Patience for that, and when a group finds the database away, all who wait are told at once.
// No goroutine outlives the last entry. Imports the standard library and errs; knows no database.
package groupcommit

import (
	"context"
	"slices"
	"sync"
	"time"

	"noteworks.dev/services/internal/errs"
)

// Config says how entries are grouped.
type Config struct {
	// Most is how many entries one group has at most.
	Most int
	// Patience is how long an entry waits for its group to begin. Then it is errs.Unavailable: a database that hangs must not collect callers.
	Patience time.Duration
}

// Queue is a line of entries, of which one group after the other is run.
type Queue[T any] struct {
	cfg Config
	key func(T) string
	run func([]*Entry[T]) (away error)

	mu      sync.Mutex
	waiting []*Entry[T]
	running bool
}

// New returns an empty queue. run does the work of one group and calls Done for each of it. What it returns, unless it is nil, is told to all who wait, too.
func New[T any](cfg Config, key func(T) string, run func([]*Entry[T]) (away error)) *Queue[T] {
	return &Queue[T]{cfg: cfg, key: key, run: run}
}

// Entry is what one caller wants done.
type Entry[T any] struct {
	// Context is the caller's: of what is in it the group may read values, but must not end with it.
	Context context.Context
	Value   T

	begun chan struct{} // closed when its group begins
	done  chan error
}

// Done tells the caller how it ended. It is called once.
func (e *Entry[T]) Done(err error) { e.done <- err }

// Do has value done together with others' and returns what Done was told. If ctx ends while it is under way, it may have been done nevertheless.
func (q *Queue[T]) Do(ctx context.Context, value T) error {
	e := &Entry[T]{Context: ctx, Value: value, begun: make(chan struct{}), done: make(chan error, 1)}
	q.join(e)
	patience := time.NewTimer(q.cfg.Patience)
	defer patience.Stop()
	select {
	case <-e.begun:
	case err := <-e.done:
		return err
	case <-ctx.Done():
		q.leave(e)
		return ctx.Err()
	case <-patience.C:
		if q.leave(e) {
			return errs.Unavailable("busy", "Too much is being written at this moment; try again.").WithRetryAfter(time.Second)
		}
	}
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *Queue[T]) join(e *Entry[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, e)
	if !q.running {
		q.running = true
		go q.work()
	}
}

// leave takes e out of the line and reports whether it was still in it.
func (q *Queue[T]) leave(e *Entry[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, e)
	if at < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	return true
}

// work runs groups until nobody waits.
func (q *Queue[T]) work() {
	for group := q.next(); len(group) > 0; group = q.next() {
		if away := q.run(group); away != nil {
			q.sendAway(away)
		}
	}
}

// next takes the oldest entries out of the line; those with the key of one before them stay.
func (q *Queue[T]) next() []*Entry[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	var group, stay []*Entry[T]
	keys := make(map[string]bool, min(len(q.waiting), q.cfg.Most))
	for _, e := range q.waiting {
		key := q.key(e.Value)
		if len(group) == q.cfg.Most || keys[key] {
			stay = append(stay, e)
			continue
		}
		keys[key] = true
		group = append(group, e)
		close(e.begun)
	}
	q.waiting = stay
	q.running = len(group) > 0
	return group
}

func (q *Queue[T]) sendAway(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.waiting {
		e.Done(why)
	}
	q.waiting = nil
}
