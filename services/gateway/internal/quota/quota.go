// Package quota keeps each workspace to the requests that it may send in a minute.
//
// It promises: over any longer time no more than the limit is let through, a burst beside; a workspace costs the others nothing; memory is
// bounded. It counts for this process only. Imports golang.org/x/time/rate and the standard library.
package quota

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxWorkspaces bounds memory, about 4 MB. Past it, those not seen for longest begin anew.
	maxWorkspaces = 20_000
	// burstShare of a minute's requests may come at once, and leastBurst of them in any case where the limit allows: a page that opens asks
	// for a dozen things.
	burstShare = 4
	leastBurst = 30
)

// Quota counts the requests of workspaces. Every method may be called by any goroutine.
type Quota struct {
	now     func() time.Time
	max     int
	refused atomic.Int64

	mu sync.Mutex
	// Two generations of half of max each: a workspace that is seen moves to the young one, and when that is full, the old one is dropped.
	young, old map[string]bucket
}

type bucket struct {
	perMinute int
	left      *rate.Limiter
}

// New is a quota of which nothing has been used.
func New(now func() time.Time) *Quota {
	return &Quota{now: now, max: maxWorkspaces, young: map[string]bucket{}}
}

// Take takes one of the perMinute requests of workspace; perMinute below 1 is no limit. When none is left, wait is how long until there is
// one. Another limit than last time begins anew.
func (q *Quota) Take(workspace string, perMinute int) (wait time.Duration, ok bool) {
	if perMinute < 1 {
		return 0, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	b := q.find(workspace, perMinute)
	if b.left.AllowN(now, 1) {
		return 0, true
	}
	q.refused.Add(1)
	return time.Duration((1 - b.left.TokensAt(now)) * float64(time.Minute) / float64(perMinute)), false
}

// Refused is how many requests were.
func (q *Quota) Refused() int64 { return q.refused.Load() }

func (q *Quota) find(workspace string, perMinute int) bucket {
	b, young := q.young[workspace]
	if !young {
		b = q.old[workspace]
	}
	if b.perMinute != perMinute {
		b = bucket{perMinute, rate.NewLimiter(rate.Limit(float64(perMinute)/time.Minute.Seconds()), burst(perMinute))}
	}
	if !young && len(q.young) >= q.max/2 {
		q.old, q.young = q.young, map[string]bucket{}
	}
	q.young[workspace] = b
	return b
}

// burst is how many of a minute's requests may come at once.
func burst(perMinute int) int {
	return min(perMinute, max(leastBurst, perMinute/burstShare))
}
