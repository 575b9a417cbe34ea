package keyring

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const tendEvery = 30 * time.Second

var errStarted = errors.New("keyring: started or stopped before")

// life is the state of Start and Stop.
type life struct {
	mu      sync.Mutex
	begun   bool
	stopped bool
	cancel  context.CancelFunc
	done    chan struct{}
}

// Start tends the keys from now on, until Stop. A store that is away is asked again later.
func (k *Keyring) Start(ctx context.Context) error {
	k.life.mu.Lock()
	defer k.life.mu.Unlock()
	if k.life.begun || k.life.stopped {
		return errStarted
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.life.begun, k.life.cancel, k.life.done = true, cancel, make(chan struct{})
	go k.run(run, k.life.done)
	return nil
}

// Stop ends the tending; the ring stays usable.
func (k *Keyring) Stop(ctx context.Context) error {
	k.life.mu.Lock()
	k.life.stopped = true
	cancel, done := k.life.cancel, k.life.done
	k.life.mu.Unlock()
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

func (k *Keyring) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		if err := k.Tend(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "signing keys not tended", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
