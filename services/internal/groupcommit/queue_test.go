package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/groupcommit"
)

type entry = groupcommit.Entry[string]

// line is a queue of which each group is let go by the test.
type line struct {
	*groupcommit.Queue[string]
	groups chan []*entry
	ends   chan error
}

// newLine makes one in which the first letter is the key.
func newLine(most int) *line {
	l := &line{groups: make(chan []*entry), ends: make(chan error)}
	l.Queue = groupcommit.New(groupcommit.Config{Most: most, Patience: time.Second}, func(v string) string { return v[:1] },
		func(group []*entry) error {
			l.groups <- group
			return <-l.ends
		})
	return l
}

// asks has somebody ask for v and returns where their answer will be.
func (l *line) asks(ctx context.Context, v string) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- l.Do(ctx, v) }()
	synctest.Wait()
	return answer
}

// finish answers a group with err and lets the next begin.
func (l *line) finish(group []*entry, err, away error) {
	for _, e := range group {
		e.Done(err)
	}
	l.ends <- away
	synctest.Wait()
}

func values(group []*entry) (all []string) {
	for _, e := range group {
		all = append(all, e.Value)
	}
	return all
}

func TestWhoComesMeanwhileGoesTogetherWithTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(3)
		l.asks(t.Context(), "a1")
		first := <-l.groups
		if got := values(first); !slices.Equal(got, []string{"a1"}) {
			t.Fatalf("who is alone waits for nobody, and went with %q", got)
		}
		for _, v := range []string{"a2", "b1", "a3", "c1", "d1", "e1"} {
			l.asks(t.Context(), v)
		}
		l.finish(first, nil, nil)
		for _, want := range [][]string{{"a2", "b1", "c1"}, {"a3", "d1", "e1"}} { // one of a key at a time, at most three, in the order of their calls
			group := <-l.groups
			if got := values(group); !slices.Equal(got, want) {
				t.Fatalf("together went %q, want %q", got, want)
			}
			l.finish(group, nil, nil)
		}
	})
}

func TestEachIsToldTheirOwnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(9)
		l.asks(t.Context(), "x")
		first := <-l.groups
		answers := map[string]<-chan error{}
		for _, v := range []string{"a", "b", "c"} {
			answers[v] = l.asks(t.Context(), v)
		}
		l.finish(first, nil, nil)
		for _, e := range <-l.groups {
			e.Done(fmt.Errorf("of %s", e.Value))
		}
		for v, answer := range answers {
			if err := <-answer; err.Error() != "of "+v {
				t.Errorf("%s was told %v", v, err)
			}
		}
		l.ends <- nil
	})
}

func TestNobodyWaitsLongerThanTheirPatienceForTheirGroupToBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(9)
		began := l.asks(t.Context(), "a")
		first := <-l.groups
		waits := l.asks(t.Context(), "b")
		asked := time.Now()
		if err := <-waits; errs.CodeOf(err) != "busy" || errs.As(err).RetryAfter == 0 || time.Since(asked) != time.Second {
			t.Fatalf("after %s: %v", time.Since(asked), err)
		}
		l.finish(first, nil, nil) // whose group has begun is waited for
		if err := <-began; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhoLeavesBeforeTheirGroupBeginsHasDoneNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(9)
		ctx, leave := context.WithCancel(t.Context())
		begun := l.asks(ctx, "a")
		first := <-l.groups
		gone := l.asks(ctx, "b")
		l.asks(t.Context(), "c")
		leave()
		for _, answer := range []<-chan error{begun, gone} {
			if err := <-answer; !errors.Is(err, context.Canceled) {
				t.Fatalf("who left was told %v", err)
			}
		}
		l.finish(first, nil, nil)
		second := <-l.groups
		if got := values(second); !slices.Equal(got, []string{"c"}) {
			t.Fatalf("then went %q", got)
		}
		l.finish(second, nil, nil)
	})
}

func TestWhoWaitsIsToldAtOnceThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(9)
		l.asks(t.Context(), "a")
		first := <-l.groups
		waits := l.asks(t.Context(), "b")
		away := errors.New("away")
		l.finish(first, away, away)
		if err := <-waits; !errors.Is(err, away) {
			t.Fatalf("who waited was told %v", err)
		}
		back := l.asks(t.Context(), "c")
		l.finish(<-l.groups, nil, nil)
		if err := <-back; err != nil {
			t.Fatalf("after it: %v", err)
		}
	})
}
