// Package session is who is in: signing up, in and out, and the refresh tokens by which a browser stays signed in.
//
// It promises: a refresh token works once; two tabs that use it within Grace of each other get the same successor; one that comes later
// was copied, and ends its session at once. A wrong password and an unknown address cost the same time and get the same answer.
// Imports the standard library, errs and the packages of people, tenants and admission.
package session

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

// ID is a session's id, a UUID in its canonical spelling. It stands in access tokens and is no secret.
type ID string

const (
	// Grace is how long after its use a token still leads to its successor: requests of two tabs cross.
	Grace = 15 * time.Second
	// maxRecent bounds the generations that may pass within one Grace; a session that refreshes faster is not two tabs.
	maxRecent = 16
)

// Lifetimes of a session: Absolute since sign-in, Idle since the last refresh.
type Lifetimes struct {
	Absolute, Idle time.Duration
}

// Session is one sign-in of one person, and the family of refresh tokens that came from it.
type Session struct {
	ID        ID
	Workspace tenant.ID
	Person    person.ID
	// Secret derives and seals tokens. It is of no use without one of them.
	Secret []byte
	// Generation counts the refreshes, and TokenHash is of the token that is current.
	Generation uint32
	TokenHash  []byte
	// Recent are the times at which the latest generations began, the current one last.
	Recent    []time.Time
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Errors that callers tell apart.
var (
	// ErrEnded: the session does not exist, or not any more.
	ErrEnded            = errs.Unauthenticated("session-ended", "The session has ended. Please sign in again.")
	ErrWrongCredentials = errs.Unauthenticated("wrong-credentials", "The e-mail address or the password is wrong.")
)

// New is a session of p, and its first token.
func New(id ID, p person.Person, now time.Time, life Lifetimes) (Session, Token, error) {
	s := Session{
		ID: id, Workspace: p.Workspace, Person: p.ID,
		Secret: make([]byte, keySize), Recent: []time.Time{now}, CreatedAt: now, ExpiresAt: now.Add(life.Absolute),
	}
	t := Token{Session: id}
	if _, err := rand.Read(s.Secret); err != nil {
		return Session{}, Token{}, fmt.Errorf("session secret: %w", err)
	}
	if _, err := rand.Read(t.key[:]); err != nil {
		return Session{}, Token{}, fmt.Errorf("refresh token: %w", err)
	}
	t = t.sealed(s.Secret)
	s.TokenHash = t.hash()
	return s, t, nil
}

// Refresh exchanges t for the token to use next. A token that was used before answers with the current one inside its Grace; later it is a
// fact that ends the session, and the token is the zero one. ErrEnded is for what was never ours or is too old, and changes nothing.
func (s *Session) Refresh(t Token, now time.Time, life Lifetimes) (Token, []person.Fact, error) {
	switch {
	case !t.genuine(s.Secret) || t.Generation > s.Generation || s.expired(now, life):
		return Token{}, nil, ErrEnded
	case t.Generation == s.Generation:
		return s.rotate(t, now)
	}
	if !s.withinGrace(t.Generation, now) {
		return Token{}, []person.Fact{s.End(person.ReusedToken)}, nil
	}
	for t.Generation < s.Generation {
		t = t.successor(s.Secret)
	}
	if !bytes.Equal(t.hash(), s.TokenHash) {
		return Token{}, nil, ErrEnded
	}
	return t, nil, nil
}

func (s *Session) rotate(t Token, now time.Time) (Token, []person.Fact, error) {
	if !bytes.Equal(t.hash(), s.TokenHash) {
		return Token{}, nil, ErrEnded
	}
	next := t.successor(s.Secret)
	s.Generation, s.TokenHash = next.Generation, next.hash()
	s.Recent = append(s.Recent, now)
	if extra := len(s.Recent) - maxRecent; extra > 0 {
		s.Recent = append([]time.Time(nil), s.Recent[extra:]...)
	}
	return next, nil, nil
}

// withinGrace reports whether generation was replaced less than Grace ago.
func (s *Session) withinGrace(generation uint32, now time.Time) bool {
	back := int64(s.Generation) - int64(generation) // the replacing generation is back-1 before the last
	if back < 1 || back > int64(len(s.Recent)) {
		return false
	}
	replaced := s.Recent[int64(len(s.Recent))-back]
	return now.Sub(replaced) <= Grace
}

func (s *Session) expired(now time.Time, life Lifetimes) bool {
	return !now.Before(s.ExpiresAt) || now.Sub(s.refreshedAt()) >= life.Idle
}

func (s *Session) refreshedAt() time.Time {
	if len(s.Recent) == 0 {
		return s.CreatedAt
	}
	return s.Recent[len(s.Recent)-1]
}

// End is the fact of the session being over.
func (s *Session) End(why person.EndReason) person.SessionsEnded {
	return person.SessionsEnded{ID: s.Person, Sessions: []string{string(s.ID)}, Reason: why}
}
