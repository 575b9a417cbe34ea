package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/user/internal/keyring"
)

// shelf is a store in memory that can be away.
type shelf struct {
	mu   sync.Mutex
	ring keyring.Ring
	away error
}

func (s *shelf) Ring(context.Context) (keyring.Ring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(keyring.Ring(nil), s.ring...), s.away
}

func (s *shelf) Turn(_ context.Context, change func(keyring.Ring) (keyring.Turn, error)) (keyring.Ring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	turn, err := change(s.ring)
	if err != nil {
		return nil, err
	}
	var left keyring.Ring
	for _, k := range s.ring {
		if !contains(turn.Drop, k.ID) {
			left = append(left, k)
		}
	}
	if turn.Add != nil {
		left = append(left, *turn.Add)
	}
	s.ring = left
	return append(keyring.Ring(nil), s.ring...), nil
}

func (s *shelf) leave(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

func contains(all []string, s string) bool {
	for _, one := range all {
		if one == s {
			return true
		}
	}
	return false
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func policy() keyring.Policy {
	return keyring.Policy{MaxAge: 30 * 24 * time.Hour, Lead: time.Minute, Afterlife: 10 * time.Minute}
}

func newRing(s *shelf, c *clock) *keyring.Keyring {
	return keyring.New(s, policy(), c.read, slog.New(slog.DiscardHandler))
}

func signer(t *testing.T, k *keyring.Keyring) string {
	t.Helper()
	key, err := k.Signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key.ID
}

func requireKnown(t *testing.T, k *keyring.Keyring, id string, want bool) {
	t.Helper()
	_, ok, err := k.Find(t.Context(), id)
	if err != nil || ok != want {
		t.Fatalf("Find(%s) = %v, %v; want %v", id, ok, err, want)
	}
}

func TestTheFirstKeySignsAtOnceAndReplicasAgree(t *testing.T) {
	t.Parallel()
	s, c := &shelf{}, &clock{now: time.Unix(1_000_000, 0)}
	a, b := newRing(s, c), newRing(s, c)
	if signer(t, a) != signer(t, b) || len(s.ring) != 1 {
		t.Fatalf("two replicas, %d keys", len(s.ring))
	}
}

func TestANewKeyIsKnownEverywhereBeforeItSigns(t *testing.T) {
	t.Parallel()
	s, c := &shelf{}, &clock{now: time.Unix(1_000_000, 0)}
	a, b := newRing(s, c), newRing(s, c)
	first := signer(t, a)
	signer(t, b)
	if err := a.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := s.ring[1].ID
	if signer(t, a) != first {
		t.Fatal("the new key signs at once")
	}
	c.move(policy().Lead - time.Second)
	signer(t, b) // which has looked since
	if signer(t, a) != first || signer(t, b) != first {
		t.Fatal("the new key signs early")
	}
	requireKnown(t, b, next, true)
	c.move(time.Second)
	if signer(t, a) != next || signer(t, b) != next {
		t.Fatal("the new key does not sign after its lead")
	}
	requireKnown(t, a, first, true)
}

func TestTwoRotationsInAMinuteLoseNoKeyInUse(t *testing.T) {
	t.Parallel()
	s, c := &shelf{}, &clock{now: time.Unix(1_000_000, 0)}
	k := newRing(s, c)
	used := map[string]bool{}
	for range 2 {
		used[signer(t, k)] = true
		if err := k.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.move(30 * time.Second)
	}
	for range 20 { // ten minutes of tending: whoever signed is still known
		used[signer(t, k)] = true
		for id := range used {
			requireKnown(t, k, id, true)
		}
		c.move(30 * time.Second)
		if err := k.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.move(10 * time.Minute)
	if err := k.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.ring) != 1 {
		t.Fatalf("%d keys left, want the last one", len(s.ring))
	}
}

func TestKeysChangeByAge(t *testing.T) {
	t.Parallel()
	s, c := &shelf{}, &clock{now: time.Unix(1_000_000, 0)}
	k := newRing(s, c)
	first := signer(t, k)
	c.move(policy().MaxAge - time.Second)
	if err := k.Tend(t.Context()); err != nil || len(s.ring) != 1 {
		t.Fatalf("too early: %d keys, %v", len(s.ring), err)
	}
	c.move(time.Second)
	for range 3 { // once is enough
		if err := k.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.ring) != 2 || signer(t, k) != first {
		t.Fatalf("%d keys, want the old one signing and a new one", len(s.ring))
	}
}

func TestAClockThatGoesBackStillSigns(t *testing.T) {
	t.Parallel()
	s, c := &shelf{}, &clock{now: time.Unix(1_000_000, 0)}
	k := newRing(s, c)
	first := signer(t, k)
	c.move(-time.Hour)
	if signer(t, k) != first {
		t.Fatal("another key signs")
	}
	if err := k.Tend(t.Context()); err != nil || len(s.ring) != 1 {
		t.Fatalf("%d keys, %v", len(s.ring), err)
	}
}

func TestTheKeysKnownLastServeWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	s, c := &shelf{}, &clock{now: time.Unix(1_000_000, 0)}
	k := newRing(s, c)
	first := signer(t, k)
	s.leave(errors.New("away"))
	c.move(time.Hour)
	if signer(t, k) != first {
		t.Fatal("another key signs")
	}
	requireKnown(t, k, first, true)
	fresh := newRing(s, c)
	if _, err := fresh.Signer(t.Context()); err == nil {
		t.Fatal("a keyring that never saw a key signs")
	}
}

func TestALifecycle(t *testing.T) { //nolint:paralleltest // it compares goroutines
	c := &clock{now: time.Unix(1_000_000, 0)}
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle { return newRing(&shelf{}, c) })
}
