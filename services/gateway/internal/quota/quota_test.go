package quota

import (
	"strconv"
	"testing"
	"time"
)

type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func start() (*Quota, *clock) {
	c := &clock{time.Unix(1_000_000, 0)}
	return New(c.read), c
}

// took is how many of so many requests were let through.
func took(q *Quota, workspace string, perMinute, tries int) (n int) {
	for range tries {
		if _, ok := q.Take(workspace, perMinute); ok {
			n++
		}
	}
	return n
}

func TestABurstThenTheRateOfTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ perMinute, burst, inTenSeconds int }{
		{6, 6, 1}, {60, 30, 10}, {600, 150, 100}, {60_000, 15_000, 10_000},
	} {
		q, clock := start()
		if n := took(q, "a", c.perMinute, 2*c.burst); n != c.burst {
			t.Errorf("%d a minute: a burst of %d, not %d", c.perMinute, n, c.burst)
		}
		clock.now = clock.now.Add(10 * time.Second)
		if n := took(q, "a", c.perMinute, 2*c.burst); n != c.inTenSeconds {
			t.Errorf("%d a minute: %d in ten seconds, not %d", c.perMinute, n, c.inTenSeconds)
		}
		clock.now = clock.now.Add(time.Hour)
		if n := took(q, "a", c.perMinute, 2*c.burst); n != c.burst {
			t.Errorf("%d a minute: a burst of %d after an hour, not %d", c.perMinute, n, c.burst)
		}
	}
}

func TestWhoIsRefusedIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	q, clock := start()
	took(q, "a", 6, 6)
	why, ok := q.Take("a", 6)
	if ok || why.Wait <= 0 || why.Wait > 10*time.Second {
		t.Fatalf("%v, %v", why, ok)
	}
	clock.now = clock.now.Add(why.Wait)
	if _, ok := q.Take("a", 6); !ok {
		t.Error("refused although it waited")
	}
	if n := q.Refused(); n != 1 {
		t.Errorf("%d refused", n)
	}
}

func TestARefusalIsNewsOnceAMinute(t *testing.T) {
	t.Parallel()
	q, clock := start()
	for minute := range 3 {
		for _, workspace := range []string{"a", "b"} {
			took(q, workspace, 1, 1)
			for i := range 5 {
				why, ok := q.Take(workspace, 1)
				if ok || why.News != (i == 0) {
					t.Errorf("minute %d, refusal %d of %s: %v, %v", minute, i, workspace, why, ok)
				}
			}
		}
		clock.now = clock.now.Add(time.Minute)
	}
}

func TestOneWorkspaceIsNotAnothersBusiness(t *testing.T) {
	t.Parallel()
	q, _ := start()
	took(q, "a", 6, 100)
	if n := took(q, "b", 6, 100); n != 6 {
		t.Errorf("%d", n)
	}
}

func TestWithoutALimitEverythingPasses(t *testing.T) {
	t.Parallel()
	q, _ := start()
	if n := took(q, "a", 0, 1000); n != 1000 {
		t.Errorf("%d", n)
	}
	if len(q.young) != 0 {
		t.Error("and is remembered")
	}
}

func TestAnotherLimitBeginsAnew(t *testing.T) {
	t.Parallel()
	q, _ := start()
	took(q, "a", 6, 100)
	if n := took(q, "a", 12, 100); n != 12 {
		t.Errorf("%d", n)
	}
	if n := took(q, "a", 12, 100); n != 0 {
		t.Errorf("%d more", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	q, _ := start()
	q.max = 100
	for i := range 1000 {
		took(q, strconv.Itoa(i), 1, 1)
	}
	if n := len(q.young) + len(q.old); n > 100 {
		t.Fatalf("%d workspaces are remembered", n)
	}
	if n := took(q, "999", 1, 1); n != 0 {
		t.Error("the latest is forgotten")
	}
}
