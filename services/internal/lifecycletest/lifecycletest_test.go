package lifecycletest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"noteworks.dev/services/internal/lifecycletest"
)

// ticker is the smallest component with a goroutine.
type ticker struct {
	mu      sync.Mutex
	stopped bool
	cancel  context.CancelFunc
	done    chan struct{}
}

func (c *ticker) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.cancel != nil {
		return errors.New("once only")
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		<-ctx.Done()
	}(c.done)
	return nil
}

func (c *ticker) Stop(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
		<-c.done
	}
	return nil
}

func TestWhatIsRightPasses(t *testing.T) { //nolint:paralleltest // goroutines are counted
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle { return &ticker{} })
}
