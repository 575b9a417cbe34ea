// Package crew is the people at work while a stack is broken: two who write to the same notes, one who only reads, and one of another workspace
// who must see nothing. All they ask, are answered and are shown goes into a history. Over the public API only. Test-only.
package crew

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"noteworks.dev/test/client"
)

const password = "correct horse battery staple"

// Crew are signed in. They work in one Shift after the other.
type Crew struct {
	Ann, Bob, Cat, Eve *Person
}

// Person renews the session when it has expired.
type Person struct {
	*client.Client

	mu      sync.Mutex
	renewed time.Time
}

// Hire signs up people at the workspace at base, and one at another.
func Hire(ctx context.Context, base, other string) (*Crew, error) {
	c := &Crew{}
	for _, p := range []struct {
		person **Person
		name   string
		at     string
	}{{&c.Ann, "ann", base}, {&c.Bob, "bob", base}, {&c.Cat, "cat", base}, {&c.Eve, "eve", other}} {
		person := &Person{Client: client.New(p.at, nil)}
		if err := until(ctx, func() error {
			err := person.Register(ctx, p.name+"@example.com", p.name, password)
			if client.StatusOf(err) == http.StatusConflict { // an answer to it was lost
				return person.Login(ctx, p.name+"@example.com", password)
			}
			return err
		}); err != nil {
			return nil, fmt.Errorf("sign up %s: %w", p.name, err)
		}
		*p.person = person
	}
	return c, nil
}

// SignIn signs somebody in anew, as from another browser.
func (c *Crew) SignIn(ctx context.Context) error {
	transport := client.Loopback()
	defer transport.CloseIdleConnections()
	return client.New(c.Ann.Base(), transport).Login(ctx, "ann@example.com", password)
}

// Renew renews the session unless that was tried a moment ago: several of one person's doings may find out at once.
func (p *Person) Renew(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.renewed) < time.Second {
		return
	}
	_ = p.Refresh(ctx) // if it could not be, the next one tries again
	p.renewed = time.Now()
}

// until repeats do until it succeeds or ctx ends.
func until(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		if pause(ctx, 50*time.Millisecond+rand.N(100*time.Millisecond)) != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
