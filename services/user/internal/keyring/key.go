// Package keyring keeps the keys that sign access tokens, and changes them without signing anybody out.
//
// It promises: a new key is published for a while before the first token is signed with it, and an old one until its last token is dead.
// All replicas agree, because the keys are in the store and only one replica at a time may change them. While the store is away, the keys
// known last go on to sign and to verify. Imports the standard library and errs.
package keyring

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// Key is one signing key. It signs from SignsFrom until a later one does.
type Key struct {
	ID        string
	Private   ed25519.PrivateKey
	CreatedAt time.Time
	SignsFrom time.Time
}

// Public is the half that may be shown.
func (k Key) Public() ed25519.PublicKey {
	return ed25519.PublicKey(k.Private[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
}

// newKey is named by its own public half, as RFC 7638 would.
func newKey(now, signsFrom time.Time) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("signing key: %w", err)
	}
	name := sha256.Sum256(public)
	return Key{
		ID:        base64.RawURLEncoding.EncodeToString(name[:16]),
		Private:   private,
		CreatedAt: now,
		SignsFrom: signsFrom,
	}, nil
}

// Ring is the keys in the order in which they begin to sign.
type Ring []Key

// Signer is the key that signs at now: the last that may. Before the first one's time, which a clock set back can bring, it is the first.
func (r Ring) Signer(now time.Time) (Key, bool) {
	if len(r) == 0 {
		return Key{}, false
	}
	signer := r[0]
	for _, k := range r[1:] {
		if !k.SignsFrom.After(now) {
			signer = k
		}
	}
	return signer, true
}

// Find is the key of an id.
func (r Ring) Find(id string) (Key, bool) {
	for _, k := range r {
		if k.ID == id {
			return k, true
		}
	}
	return Key{}, false
}

// Policy is when keys change.
type Policy struct {
	// MaxAge is how old the newest key gets before another one is made.
	MaxAge time.Duration
	// Lead is how long a key is published before it signs: longer than anybody caches the ring.
	Lead time.Duration
	// Afterlife is how long a key is published after its successor began to sign: longer than a token lives.
	Afterlife time.Duration
}

// Turn is what to change in the store.
type Turn struct {
	Add  *Key
	Drop []string
}

func (t Turn) nothing() bool { return t.Add == nil && len(t.Drop) == 0 }

// due is the turn that r needs at now; with force a new key comes, whatever the age of the newest.
func (p Policy) due(r Ring, now time.Time, force bool) (Turn, error) {
	t := Turn{Drop: p.dead(r, now)}
	signsFrom := now.Add(p.Lead)
	switch {
	case len(r) == 0:
		signsFrom = now // nobody waits for it: there is no other
	case !force && now.Sub(r[len(r)-1].CreatedAt) < p.MaxAge:
		return t, nil
	}
	k, err := newKey(now, signsFrom)
	t.Add = &k
	return t, err
}

func (p Policy) dead(r Ring, now time.Time) []string {
	var ids []string
	for i := 0; i+1 < len(r); i++ {
		if now.After(r[i+1].SignsFrom.Add(p.Afterlife)) {
			ids = append(ids, r[i].ID)
		}
	}
	return ids
}
