// Package accesstoken signs the tokens that package auth verifies, and publishes the keys to verify them with (RFC 7517).
// Imports golang-jwt, auth and the keyring.
package accesstoken

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/user/internal/keyring"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
)

// Signer issues access tokens; it is a session.Signer.
type Signer struct {
	keys *keyring.Keyring
	life time.Duration
	now  func() time.Time
}

// NewSigner signs with the keys of keys, for life.
func NewSigner(keys *keyring.Keyring, life time.Duration, now func() time.Time) *Signer {
	return &Signer{keys: keys, life: life, now: now}
}

// Sign issues a token for p on the session id.
func (s *Signer) Sign(ctx context.Context, p person.Person, id session.ID) (session.Access, error) {
	key, err := s.keys.Signer(ctx)
	if err != nil {
		return session.Access{}, err
	}
	now := s.now()
	claims := auth.NewClaims(string(p.ID), string(p.Workspace), string(id), now)
	claims.ExpiresAt = jwt.NewNumericDate(now.Add(s.life))
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &claims)
	token.Header["kid"] = key.ID
	signed, err := token.SignedString(key.Private)
	if err != nil {
		return session.Access{}, err
	}
	return session.Access{Token: signed, Expires: s.life}, nil
}

// Keys lets the service verify its own tokens; it is an auth.KeySource.
type Keys struct{ *keyring.Keyring }

// Key is the public key of an id.
func (k Keys) Key(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	found, ok, err := k.Find(ctx, kid)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, auth.ErrUnknownKey
	}
	return found.Public(), nil
}

// JWKS answers with the public keys.
func JWKS(keys *keyring.Keyring) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := document(r.Context(), keys)
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(body) // a client that left is not our failure
	})
}

func document(ctx context.Context, keys *keyring.Keyring) ([]byte, error) {
	if _, err := keys.Signer(ctx); err != nil { // which makes the first key
		return nil, err
	}
	ring, err := keys.Ring(ctx)
	if err != nil {
		return nil, err
	}
	published := make(map[string]ed25519.PublicKey, len(ring))
	for _, k := range ring {
		published[k.ID] = k.Public()
	}
	return auth.KeySetDocument(published)
}
