package auth

import (
	"strconv"
	"testing"
	"time"
)

func TestTheCacheIsBoundedAndPrefersWhatIsNew(t *testing.T) {
	t.Parallel()
	c, now := newCache(), time.Unix(0, 0)
	for i := range 3 * shards * perShard {
		now = now.Add(time.Millisecond)
		id := idOf(strconv.Itoa(i))
		c.put(id, Actor{PersonID: strconv.Itoa(i), Expires: now.Add(time.Minute)}, now)
		if a, ok := c.get(id, now); !ok || a.PersonID != strconv.Itoa(i) {
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
