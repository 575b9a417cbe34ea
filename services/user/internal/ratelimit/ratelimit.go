// Package ratelimit bounds how often something may be tried for one key: an address, an account. Its memory is bounded, too: when
// there are too many keys, those not seen for longest are forgotten. Imports the standard library.
package ratelimit

import (
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

	mu sync.Mutex
	// Two generations of half of max each: a key that is seen moves to the young one, and when that is full, the old one is dropped.
	young, old map[string]bucket
}

type bucket struct {
	left  float64
	since time.Time
}

// New allows burst tries at once and perMinute a minute from then on; both at least 1.
func New(perMinute, burst int, now func() time.Time) *Limiter {
	return &Limiter{
		every: time.Minute / time.Duration(max(1, perMinute)),
		burst: float64(max(1, burst)),
		max:   maxKeys,
		now:   now,
		young: map[string]bucket{},
	}
}

// Take takes one try of key. When none is left, wait is how long until there is one.
func (l *Limiter) Take(key string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.find(key, now)
	if passed := now.Sub(b.since); passed > 0 {
		b.left = min(l.burst, b.left+float64(passed)/float64(l.every))
	}
	b.since = now
	if b.left >= 1 {
		b.left--
		ok = true
	} else {
		wait = time.Duration((1 - b.left) * float64(l.every))
	}
	l.keep(key, b)
	return wait, ok
}

func (l *Limiter) find(key string, now time.Time) bucket {
	if b, known := l.young[key]; known {
		return b
	}
	if b, known := l.old[key]; known {
		return b
	}
	return bucket{left: l.burst, since: now}
}

func (l *Limiter) keep(key string, b bucket) {
	if _, known := l.young[key]; !known && len(l.young) >= l.max/2 {
		l.old, l.young = l.young, map[string]bucket{}
	}
	l.young[key] = b
}
