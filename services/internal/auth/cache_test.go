package auth

import (
	"strconv"
	"testing"
	"time"
)

func TestTheCacheIsBoundedAndPrefersWhatIsNew(t *testing.T) {
	t.Parallel()
	c, now := NewCache[Actor](), time.Unix(0, 0)
	for i := range 3 * shards * perShard {
		now = now.Add(time.Millisecond)
		id := strconv.Itoa(i)
		c.Put(id, Actor{PersonID: id}, now, now.Add(time.Minute))
		if a, ok := c.Get(id, now); !ok || a.PersonID != strconv.Itoa(i) {
			t.Fatalf("%d is forgotten at once", i)
		}
	}
	total := 0
	for i := range c.shards {
		total += len(c.shards[i].seen)
	}
	if total > shards*perShard {
		t.Errorf("%d tokens are kept", total)
	}
}
