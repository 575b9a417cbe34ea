package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	shards   = 16
	perShard = 1024
)

type tokenID [sha256.Size]byte

// idOf stands for a token in memory: a dump of the cache must not be a list of credentials.
func idOf(token string) tokenID { return sha256.Sum256([]byte(token)) }

// Cache remembers what verified tokens said: at most shards*perShard of them, about 4 MB. A full shard is emptied of what has expired, and when
// that is not enough, of what the map's iteration meets first; forgetting costs one signature check.
type Cache[T any] struct {
	shards [shards]shard[T]
}

type shard[T any] struct {
	mu   sync.Mutex
	seen map[tokenID]entry[T]
}

type entry[T any] struct {
	said        T
	from, until time.Time
}

// NewCache is an empty cache.
func NewCache[T any]() *Cache[T] {
	c := &Cache[T]{}
	for i := range c.shards {
		c.shards[i].seen = make(map[tokenID]entry[T])
	}
	return c
}

// Get answers only for tokens that are valid at now: a clock that was set back must not find one that is not valid yet.
func (c *Cache[T]) Get(token string, now time.Time) (T, bool) {
	id := idOf(token)
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.seen[id]
	if !ok || !now.Before(e.until) || now.Add(Leeway).Before(e.from) {
		var nothing T
		return nothing, false
	}
	return e.said, true
}

// Put remembers what token says from one time until another.
func (c *Cache[T]) Put(token string, said T, from, until time.Time) {
	id := idOf(token)
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= perShard {
		s.makeRoom(from)
	}
	s.seen[id] = entry[T]{said: said, from: from, until: until}
}

// makeRoom takes the newest token's nbf for the time: it is recent and needs no clock.
func (s *shard[T]) makeRoom(now time.Time) {
	for id, e := range s.seen {
		if !now.Before(e.until) {
			delete(s.seen, id)
		}
	}
	for id := range s.seen {
		if len(s.seen) <= perShard*3/4 {
			return
		}
		delete(s.seen, id)
	}
}
