package keyring

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"noteworks.dev/services/internal/errs"
)

// Store keeps the ring for all replicas.
type Store interface {
	Ring(ctx context.Context) (Ring, error)
	// Turn locks other replicas out, asks change what to do with the ring as it is now, does it and answers the ring as it is then.
	Turn(ctx context.Context, change func(Ring) (Turn, error)) (Ring, error)
}

// MinLead is the shortest Policy.Lead that every replica has seen a new key in.
const MinLead = 3 * fresh / 2

const (
	fresh       = 10 * time.Second // a ring this young is not asked for again
	missPenalty = time.Second      // at most one look per second for ids that do not exist
)

// Keyring is the ring as this replica knows it.
type Keyring struct {
	store  Store
	policy Policy
	now    func() time.Time
	log    *slog.Logger

	mu       sync.Mutex
	ring     Ring
	loadedAt time.Time
	missedAt time.Time

	life life
}

// New is a keyring over store. Nothing is read until it is needed or started.
func New(store Store, policy Policy, now func() time.Time, log *slog.Logger) *Keyring {
	return &Keyring{store: store, policy: policy, now: now, log: log}
}

// Tend makes the first key, the next one when the newest is old, and drops those whose tokens are dead.
func (k *Keyring) Tend(ctx context.Context) error {
	ring, err := k.store.Ring(ctx)
	if err != nil {
		return err
	}
	turn, err := k.policy.due(ring, k.now(), false)
	if err != nil {
		return err
	}
	if turn.nothing() {
		k.keep(ring)
		return nil
	}
	return k.turn(ctx, false)
}

// Rotate publishes a new key now; it signs after the policy's lead.
func (k *Keyring) Rotate(ctx context.Context) error { return k.turn(ctx, true) }

func (k *Keyring) turn(ctx context.Context, force bool) error {
	ring, err := k.store.Turn(ctx, func(have Ring) (Turn, error) { return k.policy.due(have, k.now(), force) })
	if err == nil {
		k.keep(ring)
	}
	return err
}

// Signer is the key to sign with now.
func (k *Keyring) Signer(ctx context.Context) (Key, error) {
	ring, err := k.Ring(ctx)
	if err != nil {
		return Key{}, err
	}
	if signer, ok := ring.Signer(k.now()); ok {
		return signer, nil
	}
	if err := k.Tend(ctx); err != nil { // the very first use, before the tending began
		return Key{}, err
	}
	ring, err = k.Ring(ctx)
	if signer, ok := ring.Signer(k.now()); ok {
		return signer, err
	}
	return Key{}, errs.Unavailable("no-signing-key", "Nobody can be signed in at the moment.").WithCause(err)
}

// Find is the key of an id; false says that there is none. An unknown id may be another replica's new one: the store is asked, but not often.
func (k *Keyring) Find(ctx context.Context, id string) (Key, bool, error) {
	ring, err := k.Ring(ctx)
	if err != nil {
		return Key{}, false, err
	}
	if found, ok := ring.Find(id); ok {
		return found, true, nil
	}
	if !k.mayLookAgain() {
		return Key{}, false, nil
	}
	ring, err = k.load(ctx)
	found, ok := ring.Find(id)
	return found, ok, err
}

// Ring is every key that is published now: from memory while that is fresh, and when the store is away.
func (k *Keyring) Ring(ctx context.Context) (Ring, error) {
	k.mu.Lock()
	ring, age := k.ring, k.now().Sub(k.loadedAt)
	k.mu.Unlock()
	if len(ring) > 0 && age >= 0 && age < fresh {
		return ring, nil
	}
	loaded, err := k.load(ctx)
	if err != nil && len(ring) > 0 {
		return ring, nil // the tending logs it; what was known last serves on
	}
	return loaded, err
}

func (k *Keyring) load(ctx context.Context) (Ring, error) {
	ring, err := k.store.Ring(ctx)
	if err == nil {
		k.keep(ring)
	}
	return ring, err
}

func (k *Keyring) keep(ring Ring) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ring, k.loadedAt = ring, k.now()
}

func (k *Keyring) mayLookAgain() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if since := now.Sub(k.missedAt); since >= 0 && since < missPenalty {
		return false
	}
	k.missedAt = now
	return true
}
