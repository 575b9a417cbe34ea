package live

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// Endings is the list of sessions that ended while tokens that name them may still be valid. Every method may be called by any goroutine.
type Endings struct {
	mu         sync.RWMutex
	now        func() time.Time
	sessions   expiring[string, struct{}]
	people     expiring[string, before]
	workspaces expiring[string, before]
}

// before ends everything that began until then, but one session.
type before struct {
	at   time.Time
	keep string
}

// EndingTTL is how long an ending is remembered: twice what a token lives.
const EndingTTL = 10 * time.Minute

// maxEndings bounds each of the lists. Reaching it takes 80 sign-outs a second for ten minutes; the oldest is forgotten then, whose
// tokens are the likeliest to have expired.
const maxEndings = 50_000

// tokenLifetime is how long before its expiry a token was made, for sessions whose id does not say when they began.
const tokenLifetime = 5 * time.Minute

// NewEndings is an empty list with the time of now.
func NewEndings(now func() time.Time) *Endings {
	return &Endings{now: now}
}

// add records what e does to the sessions of workspace, as of at.
func (l *Endings) add(workspace string, e *Ending, at time.Time) {
	until := at.Add(EndingTTL)
	if !l.now().Before(until) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Person == "":
		l.workspaces.put(workspace, before{at: at}, until)
	case len(e.Sessions) == 0:
		l.people.put(e.Person, before{at: at, keep: e.Keep}, until)
	default:
		for _, s := range e.Sessions {
			l.sessions.put(s, struct{}{}, until)
		}
	}
}

// Ended reports whether who's session is over.
func (l *Endings) Ended(who Identity) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	now := l.now()
	if _, ok := l.sessions.get(who.Session, now); ok {
		return true
	}
	if b, ok := l.people.get(who.Person, now); ok && b.ends(who) {
		return true
	}
	b, ok := l.workspaces.get(who.Workspace, now)
	return ok && b.ends(who)
}

// Len is how many endings are remembered.
func (l *Endings) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.sessions.values) + len(l.people.values) + len(l.workspaces.values)
}

// sweep forgets what has expired.
func (l *Endings) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.sessions.expire(now)
	l.people.expire(now)
	l.workspaces.expire(now)
}

func (b before) ends(who Identity) bool {
	return (b.keep == "" || b.keep != who.Session) && !began(who).After(b.at)
}

// began is when the session did. A session id is a UUIDv7 and begins with its time in milliseconds; for another id, it is taken
// to be when the token was made, which errs on the side of ending too much for as long as a token lives.
func began(who Identity) time.Time {
	id := strings.ReplaceAll(who.Session, "-", "")
	if len(id) == 32 && id[12] == '7' {
		if ms, err := strconv.ParseInt(id[:12], 16, 64); err == nil {
			return time.UnixMilli(ms)
		}
	}
	return who.Expires.Add(-tokenLifetime)
}

// expiring is a bounded map whose entries live until a time, which hardly ever decreases from one put to the next.
type expiring[K comparable, V any] struct {
	values map[K]expiringValue[V]
	order  []expiringKey[K]
}

type expiringValue[V any] struct {
	value V
	until time.Time
}

type expiringKey[K comparable] struct {
	key   K
	until time.Time
}

func (m *expiring[K, V]) put(key K, value V, until time.Time) {
	if m.values == nil {
		m.values = make(map[K]expiringValue[V])
	}
	m.values[key] = expiringValue[V]{value, until}
	m.order = append(m.order, expiringKey[K]{key, until})
	for len(m.order) > maxEndings {
		m.dropOldest()
	}
}

func (m *expiring[K, V]) get(key K, now time.Time) (V, bool) {
	v, ok := m.values[key]
	return v.value, ok && now.Before(v.until)
}

func (m *expiring[K, V]) expire(now time.Time) {
	for len(m.order) > 0 && !now.Before(m.order[0].until) {
		m.dropOldest()
	}
	if len(m.order) == 0 {
		m.order = nil
	}
}

// remove leaves the place in the order, which dropOldest will find empty.
func (m *expiring[K, V]) remove(key K) { delete(m.values, key) }

// dropOldest leaves the value alone if it was put again later.
func (m *expiring[K, V]) dropOldest() {
	oldest := m.order[0]
	m.order = m.order[1:]
	if v, ok := m.values[oldest.key]; ok && v.until.Equal(oldest.until) {
		delete(m.values, oldest.key)
	}
}
