package crew

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/client"
)

// opening is how many sockets of a crowd are opened at once.
const opening = 32

// Crowd is many sockets of one person, which come back with their cursors as browsers do, and count what they miss.
type Crowd struct {
	shift  *Shift
	stop   context.CancelFunc
	ctx    context.Context //nolint:containedctx // the crowd's life, which is longer than any call
	all    sync.WaitGroup
	opened atomic.Int64
	gaps   atomic.Int64
	turns  chan struct{}

	mu      sync.Mutex
	returns []time.Time
	away    int
	members []*member
}

type member struct {
	mu       sync.Mutex
	versions map[string]int
}

// Crowd makes a crowd of the reader's sockets, which are opened by Open.
func (s *Shift) Crowd(ctx context.Context, sockets int) *Crowd {
	c := &Crowd{shift: s, turns: make(chan struct{}, opening)}
	c.ctx, c.stop = context.WithCancel(ctx)
	for range sockets {
		c.members = append(c.members, &member{versions: map[string]int{}})
	}
	return c
}

// Open opens all sockets.
func (c *Crowd) Open(ctx context.Context) error {
	for _, m := range c.members {
		c.all.Go(func() { c.watch(m) })
	}
	for int(c.opened.Load()) < len(c.members) {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d sockets are open: %w", c.opened.Load(), len(c.members), err)
		}
	}
	return nil
}

func (c *Crowd) watch(m *member) {
	cursor, first := "", true
	for c.ctx.Err() == nil {
		c.turns <- struct{}{}
		ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
		live, err := c.shift.crew.Cat.Watch(ctx, cursor)
		cancel()
		<-c.turns
		if err != nil {
			_ = pause(c.ctx, 100*time.Millisecond+rand.N(400*time.Millisecond)) // the web app waits as long
			continue
		}
		if cursor == "" {
			cursor = live.Ready
		}
		if first {
			c.opened.Add(1)
		} else {
			c.returned()
		}
		first = false
		release := context.AfterFunc(c.ctx, live.Close)
		cursor = c.read(m, live, cursor)
		release()
		live.Close()
		c.left()
	}
}

// read takes frames until the socket breaks, and returns the cursor it is at.
func (c *Crowd) read(m *member, live *client.Live, cursor string) string {
	for {
		f, err := live.Next(c.ctx)
		if err != nil {
			return cursor
		}
		if f.Type == "resync" {
			c.gaps.Add(1)
		}
		if f.Type != "event" {
			continue
		}
		cursor = f.Cursor
		if fact, err := f.Fact(); err == nil && f.Event == "note.v1.NoteChanged" {
			c.gaps.Add(m.saw(fact.NoteID, fact.Version))
		}
	}
}

// saw returns how many versions were missed before this one, or 1 if it was there before.
func (m *member) saw(note string, version int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.versions[note]
	m.versions[note] = max(before, version)
	switch {
	case !known || version == before+1:
		return 0
	case version <= before:
		return 1
	}
	return int64(version - before - 1)
}

func (c *Crowd) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away++
}

func (c *Crowd) returned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away--
	c.returns = append(c.returns, time.Now())
}

// Returned waits until sockets were lost and all are back, and returns how many, after how long since began the last was, and how many came back in
// the busiest tenth of a second.
func (c *Crowd) Returned(ctx context.Context, began time.Time) (lost int, all time.Duration, busiest int, err error) {
	quiet := time.Now()
	for known := 0; ; {
		c.mu.Lock()
		away, returns := c.away, append([]time.Time(nil), c.returns...)
		c.mu.Unlock()
		if away > 0 || len(returns) != known || known == 0 {
			known, quiet = len(returns), time.Now()
		}
		// They are back for good when none has left for as long as a drain may take to begin with the next.
		if len(returns) > 0 && time.Since(quiet) > 3*time.Second {
			tenths := map[int64]int{}
			for _, at := range returns {
				all = max(all, at.Sub(began))
				tenths[at.UnixMilli()/100]++
				busiest = max(busiest, tenths[at.UnixMilli()/100])
			}
			return len(returns), all, busiest, nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return len(returns), 0, 0, fmt.Errorf("%d sockets came back, %d did not: %w", len(returns), away, err)
		}
	}
}

// CaughtUp waits until every socket has been shown what is the newest version of each note now.
func (c *Crowd) CaughtUp(ctx context.Context) error {
	newest := map[string]int{}
	for _, note := range c.shift.Notes {
		newest[note] = c.shift.version(note)
	}
	for {
		behind := 0
		for _, m := range c.members {
			m.mu.Lock()
			for note, version := range newest {
				if m.versions[note] < version {
					behind++
					break
				}
			}
			m.mu.Unlock()
		}
		if behind == 0 {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%d sockets are behind: %w", behind, err)
		}
	}
}

// Gaps is how much was missed, or came twice.
func (c *Crowd) Gaps() int { return int(c.gaps.Load()) }

// Close closes all sockets.
func (c *Crowd) Close() {
	c.stop()
	c.all.Wait()
}
