package postgres

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/note/internal/note"
)

const (
	// choreEvery is how often chores are looked for that nobody announced, such as another replica's.
	choreEvery = time.Second
	// tidyEvery is how often what has become old is deleted.
	tidyEvery = time.Hour
	// thinAfter is how long every version is kept. Thinning looks back thinWithin, which outlasts any stop of the service that is not a catastrophe.
	thinAfter  = 24 * time.Hour
	thinWithin = 8 * 24 * time.Hour
)

// Sweeper does what nobody waits for: chores that events left behind, the trash that is old, idempotency keys and revisions that have served,
// and a look at what was counted.
// It works in small batches, each a transaction of its own, and several replicas may do so at once. Start once; Stop ends it after its batch.
type Sweeper struct {
	store     *Store
	retention time.Duration
	now       func() time.Time
	tel       *telemetry.Telemetry
	woken     chan struct{}

	mu      sync.Mutex
	started bool
	stopped bool
	cancel  context.CancelFunc
	done    chan struct{}
}

// NewSweeper deletes for good what has been in the trash for retention, where a workspace does not say for how long.
func NewSweeper(store *Store, retention time.Duration, now func() time.Time, tel *telemetry.Telemetry) *Sweeper {
	return &Sweeper{store: store, retention: retention, now: now, tel: tel, woken: make(chan struct{}, 1)}
}

// Wake makes it look for chores now.
func (s *Sweeper) Wake() {
	select {
	case s.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// Start returns at once; the work lasts until Stop and not until ctx ends.
func (s *Sweeper) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return errors.New("sweeper: started or stopped before")
	}
	s.started, s.done = true, make(chan struct{})
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go s.run(ctx)
	return nil
}

// Stop cancels what is under way, which the next start does again, and waits for it until ctx ends.
func (s *Sweeper) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	cancel, done := s.cancel, s.done
	s.mu.Unlock()
	if done == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sweeper) run(ctx context.Context) {
	defer close(s.done)
	chores, tidy := time.NewTicker(choreEvery), time.NewTicker(tidyEvery)
	defer chores.Stop()
	defer tidy.Stop()
	s.report(ctx, "tidy", s.Tidy(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			s.report(ctx, "tidy", s.Tidy(ctx))
		case <-chores.C:
			s.report(ctx, "chores", s.Chores(ctx))
		case <-s.woken:
			s.report(ctx, "chores", s.Chores(ctx))
		}
	}
}

// report logs at WARN: the work is still there and is done the next time.
func (s *Sweeper) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.tel.Log.WarnContext(ctx, "housekeeping failed", telemetry.Component("sweeper "+what), telemetry.Err(err))
	}
}

// Chores does all that wait.
func (s *Sweeper) Chores(ctx context.Context) error {
	waiting, err := s.store.Waiting(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, w := range waiting {
		all = append(all, whileMore(func() (bool, error) { return s.store.Chore(ctx, w) }))
	}
	return errors.Join(all...)
}

// Tidy deletes what has become old, in every workspace, and puts right what was not counted.
func (s *Sweeper) Tidy(ctx context.Context) error {
	workspaces, err := s.store.Workspaces(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, w := range workspaces {
		all = append(all, s.tidy(ctx, w))
	}
	return errors.Join(all...)
}

func (s *Sweeper) tidy(ctx context.Context, w note.WorkspaceID) error {
	keep, err := s.store.Retention(ctx, w)
	if err != nil {
		return err
	}
	if keep.Trash == 0 {
		keep.Trash = s.retention
	}
	now := s.now()
	return errors.Join(
		whileMore(func() (bool, error) { return s.store.EmptyTrash(ctx, w, now.Add(-keep.Trash)) }),
		whileMore(func() (bool, error) { return s.store.Forget(ctx, w, now) }),
		whileMore(func() (bool, error) { return s.store.Thin(ctx, w, now.Add(-thinWithin), now.Add(-thinAfter)) }),
		s.expire(ctx, w, keep.Revisions, now),
		s.recount(ctx, w),
	)
}

func (s *Sweeper) expire(ctx context.Context, w note.WorkspaceID, keep time.Duration, now time.Time) error {
	if keep == 0 {
		return nil
	}
	var since time.Time
	return whileMore(func() (more bool, err error) {
		since, more, err = s.store.Expire(ctx, w, since, now.Add(-keep))
		return more, err
	})
}

func (s *Sweeper) recount(ctx context.Context, w note.WorkspaceID) error {
	off, err := s.store.Recount(ctx, w)
	if err == nil && off != (note.Usage{}) {
		s.tel.Log.WarnContext(ctx, "usage was counted anew", telemetry.WorkspaceID(w),
			slog.Int("missing_notes", int(off.Notes)), slog.Int64("missing_bytes", off.Bytes))
	}
	return err
}

func whileMore(do func() (bool, error)) error {
	for {
		if more, err := do(); err != nil || !more {
			return err
		}
	}
}
