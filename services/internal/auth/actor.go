// Package auth says who is acting. It verifies the access tokens that the user service signs and keeps the verified Actor in the
// context; nothing else, no header and no baggage, is ever asked for an identity.
//
// It promises: Ed25519 signatures only, by a key of our own issuer found under an opaque kid, for our audience, inside its time with 5 s
// of leeway, with UUIDs for person, workspace and session. Every refusal is one errs.Unauthenticated whose detail does not help to forge.
// A verified token is remembered (bounded, never past its expiry), so that a request costs a hash and not a signature.
package auth

import (
	"context"
	"time"
)

// Actor is a verified person in a workspace, on one of its sessions, until Expires.
type Actor struct {
	PersonID, WorkspaceID, SessionID string
	Expires                          time.Time
}

type actorKey struct{}

// With returns a context in which a is acting.
func With(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// From is who acts in ctx; false means nobody.
func From(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return a, ok
}
