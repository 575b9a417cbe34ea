package auth

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// What every access token of ours says about itself.
const (
	Issuer   = "noteworks"
	Audience = "noteworks-api"
	// Lifetime is how long an access token lives: short, because a signature cannot be taken back.
	Lifetime = 5 * time.Minute
	// Leeway is how far two of our clocks may be apart.
	Leeway = 5 * time.Second
)

// Claims is the payload of an access token. The user service fills it with NewClaims and signs it; nobody else does.
type Claims struct {
	jwt.RegisteredClaims
	WorkspaceID string `json:"wid"`
	SessionID   string `json:"sid"`
}

// NewClaims is a token of Lifetime for a session of person, from now on. jti is a new id.
func NewClaims(person, workspace, session string, now time.Time) Claims {
	return Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    Issuer,
			Audience:  jwt.ClaimStrings{Audience},
			Subject:   person,
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime)),
			ID:        uuid.NewString(),
		},
		WorkspaceID: workspace,
		SessionID:   session,
	}
}

// Validate is asked by the parser after the signature and the standard claims held.
func (c *Claims) Validate() error {
	if !canonicalUUID(c.Subject) || !canonicalUUID(c.WorkspaceID) || !canonicalUUID(c.SessionID) {
		return errors.New("sub, wid and sid must be UUIDs")
	}
	if c.NotBefore == nil || c.IssuedAt == nil {
		return errors.New("nbf and iat are required")
	}
	return nil
}

func (c *Claims) actor() Actor {
	return Actor{PersonID: c.Subject, WorkspaceID: c.WorkspaceID, SessionID: c.SessionID, Expires: c.ExpiresAt.Time}
}

// canonicalUUID refuses the other spellings that uuid.Parse accepts: one person must not have two names.
func canonicalUUID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s && id != uuid.Nil
}
