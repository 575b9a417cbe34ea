package session

import (
	"context"
	"sync"
)

// turnstile lets one caller at a time through for each key, in this process. The zero one is ready.
type turnstile struct {
	mu   sync.Mutex
	keys map[string]*gate
}

// gate is there as long as somebody is in it or waits.
type gate struct {
	turn  chan struct{}
	users int
}

// enter waits for the key's turn; leave gives it on. An ended context ends the wait.
func (t *turnstile) enter(ctx context.Context, key string) (leave func(), err error) {
	g := t.join(key)
	select {
	case g.turn <- struct{}{}:
		return func() { <-g.turn; t.part(key, g) }, nil
	case <-ctx.Done():
		t.part(key, g)
		return nil, ctx.Err()
	}
}

func (t *turnstile) join(key string) *gate {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.keys[key]
	if !ok {
		if t.keys == nil {
			t.keys = map[string]*gate{}
		}
		g = &gate{turn: make(chan struct{}, 1)}
		t.keys[key] = g
	}
	g.users++
	return g
}

func (t *turnstile) part(key string, g *gate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(t.keys, key)
	}
}
