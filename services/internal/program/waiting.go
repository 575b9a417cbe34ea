package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// sayAgain is how often a log repeats what is waited for, so that it is found there after hours, too.
const sayAgain = 5 * time.Minute

var errStarting = errors.New("still starting")

// Waiting is what a service that starts is waiting for: in the log once for each reason and again every five minutes, and in /readyz all the time.
type Waiting struct {
	log *slog.Logger

	mu     sync.Mutex
	reason error
	said   string
	saidAt time.Time
	over   bool
}

// NewWaiting tells log.
func NewWaiting(log *slog.Logger) *Waiting { return &Waiting{log: log} }

// For says what is waited for now. It is a pg.Say.
func (w *Waiting) For(ctx context.Context, reason error) {
	w.mu.Lock()
	again := reason.Error() == w.said && time.Since(w.saidAt) < sayAgain
	w.reason = reason
	if !again {
		w.said, w.saidAt = reason.Error(), time.Now()
	}
	w.mu.Unlock()
	if !again {
		w.log.WarnContext(ctx, "waiting", slog.String("for", reason.Error()))
	}
}

// Over ends the waiting.
func (w *Waiting) Over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over, w.reason = true, nil
}

// Err is why the service is not ready yet, nil when the waiting is over.
func (w *Waiting) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.over:
		return nil
	case w.reason != nil:
		return fmt.Errorf("%w, waiting: %w", errStarting, w.reason)
	}
	return errStarting
}
