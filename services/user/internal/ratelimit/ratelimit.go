// Package ratelimit bounds how often something may be tried for one key: an address, an account. Its memory is bounded, too: when
// there are too many keys, the one not seen for longest is forgotten. Imports the standard library.
package ratelimit

import (
	"container/list"
	"sync"
	"time"
)

const maxKeys = 50_000 // about 8 MB when it is attacked, nothing before

// Limiter is a token bucket per key.
type Limiter struct {
	every time.Duration
	burst float64
	max   int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]*list.Element
	seen    *list.List // most recent first
}

type bucket struct {
	key   string
	left  float64
	since time.Time
}

// New allows burst tries at once and perMinute a minute from then on; both at least 1.
func New(perMinute, burst int, now func() time.Time) *Limiter {
	return &Limiter{
		every:   time.Minute / time.Duration(max(1, perMinute)),
		burst:   float64(max(1, burst)),
		max:     maxKeys,
		now:     now,
		buckets: map[string]*list.Element{},
		seen:    list.New(),
	}
}

// Take takes one try of key. When none is left, wait is how long until there is one.
func (l *Limiter) Take(key string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	now := l.now()
	if passed := now.Sub(b.since); passed > 0 {
		b.left = min(l.burst, b.left+float64(passed)/float64(l.every))
	}
	b.since = now
	if b.left < 1 {
		return time.Duration((1 - b.left) * float64(l.every)), false
	}
	b.left--
	return 0, true
}

func (l *Limiter) bucket(key string) *bucket {
	if e, ok := l.buckets[key]; ok {
		l.seen.MoveToFront(e)
		return e.Value.(*bucket) //nolint:forcetypeassert // the list holds nothing else
	}
	if len(l.buckets) >= l.max {
		oldest := l.seen.Back()
		delete(l.buckets, l.seen.Remove(oldest).(*bucket).key) //nolint:forcetypeassert // as above
	}
	b := &bucket{key: key, left: l.burst, since: l.now()}
	l.buckets[key] = l.seen.PushFront(b)
	return b
}
