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

// cache remembers verified tokens: at most shards*perShard of them, about 4 MB. A full shard is emptied of what has expired, and when
// that is not enough, of what the map's iteration meets first; forgetting costs one signature check.
type cache struct {
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex
	seen map[tokenID]entry
}

type entry struct {
	actor Actor
	from  time.Time
}

func newCache() *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].seen = make(map[tokenID]entry)
	}
	return c
}

// get answers only for tokens that are valid at now: a clock that was set back must not find one that is not valid yet.
func (c *cache) get(id tokenID, now time.Time) (Actor, bool) {
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.seen[id]
	if !ok || !now.Before(e.actor.Expires) || now.Add(Leeway).Before(e.from) {
		return Actor{}, false
	}
	return e.actor, true
}

func (c *cache) put(id tokenID, a Actor, from time.Time) {
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= perShard {
		s.makeRoom(from)
	}
	s.seen[id] = entry{actor: a, from: from}
}

// makeRoom takes the newest token's nbf for the time: it is recent and needs no clock.
func (s *shard) makeRoom(now time.Time) {
	for id, e := range s.seen {
		if !now.Before(e.actor.Expires) {
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
