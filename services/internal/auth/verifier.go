package auth

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"noteworks.dev/services/internal/errs"
)

const (
	maxToken = 4 << 10
	maxKid   = 64
)

// KeySource finds the issuer's public key under a key id. An unknown id is ErrUnknownKey; errs.Unavailable says that it cannot be known now.
type KeySource interface {
	Key(ctx context.Context, kid string) (ed25519.PublicKey, error)
}

// ErrUnknownKey is a KeySource's answer for an id that the issuer does not publish.
var ErrUnknownKey = errors.New("auth: unknown key id")

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	keys   KeySource
	now    func() time.Time
	parser *jwt.Parser
	seen   *Cache[Actor]
}

// NewVerifier trusts the keys of keys and the time of now.
func NewVerifier(keys KeySource, now func() time.Time) *Verifier {
	return &Verifier{
		keys: keys,
		now:  now,
		seen: NewCache[Actor](),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(Issuer),
			jwt.WithAudience(Audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(Leeway),
			jwt.WithTimeFunc(now),
			jwt.WithStrictDecoding(),
		),
	}
}

// Verify answers who token speaks for: errs.Unauthenticated "token-expired" when it did so once, "invalid-token" when it never did or not
// yet, and errs.Unavailable when the issuer's keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, token string) (Actor, error) {
	if len(token) > maxToken {
		return Actor{}, invalid(errors.New("token over 4 kB"))
	}
	if a, ok := v.seen.Get(token, v.now()); ok {
		return a, nil
	}
	var claims Claims
	if _, err := v.parser.ParseWithClaims(token, &claims, v.keyOf(ctx)); err != nil {
		return Actor{}, refusal(err)
	}
	a := claims.actor()
	v.seen.Put(token, a, claims.NotBefore.Time, a.Expires)
	return a, nil
}

// Authenticate verifies the Bearer token of r and returns r's context with the Actor in it.
func (v *Verifier) Authenticate(r *http.Request) (context.Context, error) {
	token, err := bearer(r.Header)
	if err != nil {
		return r.Context(), err
	}
	a, err := v.Verify(r.Context(), token)
	if err != nil {
		return r.Context(), err
	}
	return With(r.Context(), a), nil
}

// bearer takes exactly one Authorization header: with two, a proxy and we might not agree on who asks.
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", errs.Unauthenticated("unauthenticated", "Please sign in.")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", invalid(errors.New("not one bearer token"))
	}
	return token, nil
}

// keyOf reads nothing of the token's header but kid: jku, jwk and x5u are a stranger's idea of whom to trust.
func (v *Verifier) keyOf(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if !PlainKeyID(kid) {
			return nil, ErrUnknownKey
		}
		return v.keys.Key(ctx, kid)
	}
}

// PlainKeyID reports whether kid is of the letters, digits, dashes and underscores that issuers use, and not long.
func PlainKeyID(kid string) bool {
	if kid == "" || len(kid) > maxKid {
		return false
	}
	for _, c := range []byte(kid) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func refusal(err error) error {
	switch {
	case errors.Is(err, context.Canceled) || errs.KindOf(err) == errs.KindUnavailable || errs.KindOf(err) == errs.KindTimeout:
		return err
	case errors.Is(err, jwt.ErrTokenExpired):
		return errs.Unauthenticated("token-expired", "The access token has expired.").WithCause(err)
	}
	return invalid(err)
}

func invalid(cause error) error {
	return errs.Unauthenticated("invalid-token", "The access token is not valid.").WithCause(cause)
}
