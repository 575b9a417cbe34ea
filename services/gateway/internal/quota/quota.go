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
	// sayAgain is how long a workspace that is refused again is no news.
	sayAgain = time.Minute
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
	told      time.Time // when its refusals were news last
}

// New is a quota of which nothing has been used.
func New(now func() time.Time) *Quota {
	return &Quota{now: now, max: maxWorkspaces, young: map[string]bucket{}}
}

// Refusal is why a request may not pass now.
type Refusal struct {
	// Wait is how long until there is one for it.
	Wait time.Duration
	// News says that it is worth a line in the log: the first one of this workspace in a minute.
	News bool
}

// Take takes one of the perMinute requests of workspace; perMinute below 1 is no limit. Another limit than last time begins anew.
func (q *Quota) Take(workspace string, perMinute int) (why Refusal, ok bool) {
	if perMinute < 1 {
		return Refusal{}, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	b := q.find(workspace, perMinute)
	if b.left.AllowN(now, 1) {
		return Refusal{}, true
	}
	q.refused.Add(1)
	why.Wait = time.Duration((1 - b.left.TokensAt(now)) * float64(time.Minute) / float64(perMinute))
	if why.News = now.Sub(b.told) >= sayAgain; why.News {
		b.told = now
		q.young[workspace] = b
	}
	return why, false
}

// Refused is how many requests were.
func (q *Quota) Refused() int64 { return q.refused.Load() }

func (q *Quota) find(workspace string, perMinute int) bucket {
	b, young := q.young[workspace]
	if !young {
		b = q.old[workspace]
	}
	if b.perMinute != perMinute {
		b = bucket{perMinute: perMinute, left: rate.NewLimiter(rate.Limit(float64(perMinute)/time.Minute.Seconds()), burst(perMinute))}
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
