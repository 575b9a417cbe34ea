// Package lifecycletest is the one test of starting and stopping that every long-running component of ours must pass. It promises that what
// passes it can be started and stopped in any order, by anybody, any number of times, and leaves no goroutine behind.
package lifecycletest

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Lifecycle is the shape: Start returns when it runs (or with an error when it was started or stopped before), Stop drains until ctx ends and may be called
// at any time, again and again.
type Lifecycle interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// limit is for one Start or Stop of something idle.
const limit = 10 * time.Second

// Stress runs every story on a fresh component of make, which must not start anything itself. It must not be called from a parallel test: it
// compares goroutines before and after. ignore names those that belong to what the component stands on (a server shared by the tests).
func Stress(t *testing.T, make func() Lifecycle, ignore ...goleak.Option) {
	t.Helper()
	stories := []struct {
		name string
		run  func(*testing.T, Lifecycle)
	}{
		{"starts and stops", startsAndStops},
		{"stops twice", stopsTwice},
		{"stops before it starts", stopsBeforeItStarts},
		{"stops from many sides at once", stopsFromManySides},
		{"starts and stops at the same time", startsWhileStopping},
		{"outlives the context of its start", outlivesStartContext},
		{"stops with a context that has ended", stopsWithoutTime},
	}
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			story.run(t, make())
			goleak.VerifyNone(t, append([]goleak.Option{before}, ignore...)...)
		})
	}
}

func startsAndStops(t *testing.T, l Lifecycle) {
	start(t, l)
	stop(t, l)
}

func stopsTwice(t *testing.T, l Lifecycle) {
	start(t, l)
	stop(t, l)
	stop(t, l)
}

// stopsBeforeItStarts: a Start after that may refuse or run; either way a last Stop must end it.
func stopsBeforeItStarts(t *testing.T, l Lifecycle) {
	stop(t, l)
	startAnyhow(t, l)
	stop(t, l)
}

func stopsFromManySides(t *testing.T, l Lifecycle) {
	start(t, l)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { stop(t, l) })
	}
	all.Wait()
}

func startsWhileStopping(t *testing.T, l Lifecycle) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { startAnyhow(t, l) })
		all.Go(func() { stop(t, l) })
	}
	all.Wait()
	stop(t, l)
}

func outlivesStartContext(t *testing.T, l Lifecycle) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	if err := l.Start(ctx); err != nil {
		t.Errorf("start: %v", err)
	}
	cancel()
	stop(t, l)
}

// stopsWithoutTime: it may report that it was cut short, but it has to be gone.
func stopsWithoutTime(t *testing.T, l Lifecycle) {
	start(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Stop(ctx) // whether it calls that an error is its own affair
	}()
	await(t, done, "stop with an ended context")
	stop(t, l)
}

func start(t *testing.T, l Lifecycle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := l.Start(ctx); err != nil {
		t.Errorf("start: %v", err)
	}
}

// startAnyhow is a start that may be refused because of a stop or another start.
func startAnyhow(t *testing.T, l Lifecycle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Start(ctx) // both answers are right
	}()
	await(t, done, "start")
}

func stop(t *testing.T, l Lifecycle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := l.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func await(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(2 * limit):
		t.Errorf("%s did not return", what)
	}
}
