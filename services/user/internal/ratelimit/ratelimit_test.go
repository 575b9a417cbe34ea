package ratelimit

import (
	"strconv"
	"testing"
	"time"
)

type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func take(t *testing.T, l *Limiter, key string, want bool) time.Duration {
	t.Helper()
	wait, ok := l.Take(key)
	if ok != want {
		t.Fatalf("Take(%s) = %v, want %v", key, ok, want)
	}
	return wait
}

func TestABurstThenOneAtATime(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_000_000, 0)}
	l := New(6, 3, c.read)
	for range 3 {
		take(t, l, "a", true)
	}
	if wait := take(t, l, "a", false); wait <= 0 || wait > 10*time.Second {
		t.Errorf("told to wait %s, want up to 10s", wait)
	}
	take(t, l, "b", true) // another key is not its business
	c.now = c.now.Add(10 * time.Second)
	take(t, l, "a", true)
	take(t, l, "a", false)
	c.now = c.now.Add(24 * time.Hour)
	for range 3 { // a long pause gives a burst and no more
		take(t, l, "a", true)
	}
	take(t, l, "a", false)
}

func TestAClockThatGoesBackGivesNothingAway(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_000_000, 0)}
	l := New(1, 1, c.read)
	take(t, l, "a", true)
	c.now = c.now.Add(-time.Hour)
	take(t, l, "a", false)
	c.now = c.now.Add(time.Minute) // and it does not shut anybody out for an hour
	take(t, l, "a", true)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_000_000, 0)}
	l := New(1, 1, c.read)
	l.max = 100
	for i := range 1000 {
		take(t, l, strconv.Itoa(i), true)
	}
	if n := len(l.young) + len(l.old); n > 100 {
		t.Fatalf("%d keys kept, want at most 100", n)
	}
	take(t, l, "999", false) // the latest are remembered
	take(t, l, "0", true)    // the oldest are not
}
