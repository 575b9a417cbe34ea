package note

import (
	"context"
	"time"

	"noteworks.dev/services/internal/errs"
)

// MaxShares bounds the audience of a note's events, which travels with each of them.
const MaxShares = 1000

// Person is someone of the workspace as this service knows them.
type Person struct {
	ID      PersonID
	Name    string
	Active  bool
	Version int32
}

// Given is a share: a role that somebody gave to somebody.
type Given struct {
	To     Person
	As     Role
	By     PersonID
	ByName string
	At     time.Time
}

// Directory knows everyone of a workspace. It is another service: never ask it inside a transaction.
type Directory interface {
	// Person answers errs.NotFound for somebody who is not of the workspace, and errs.Unavailable while it cannot tell.
	Person(ctx context.Context, workspace WorkspaceID, id PersonID) (Person, error)
}

// ErrNoPerson is the answer about somebody who does not exist, is of another workspace or may not come in any more.
func ErrNoPerson() error {
	return errs.NotFound("person-not-found", "There is no such person in this workspace.").WithField("userId")
}

// shareWith gives p the role as. had is the role p has so far. The same role again is nothing new.
func (s *Sight) shareWith(p Person, had, as Role, now time.Time) (Fact, error) {
	if err := s.May(ToShare); err != nil {
		return nil, err
	}
	switch {
	case p.ID == s.Owner:
		return nil, errs.Invalid("already-owner", "A note is already its owner's.").WithField("userId")
	case !p.Active:
		return nil, ErrNoPerson()
	case had == as:
		return nil, nil //nolint:nilnil // nothing happened is an answer of its own
	case had == RoleNone && len(s.Audience) > MaxShares:
		return nil, errs.Conflict("too-many-shares", "A note is shared with at most %d people.", MaxShares)
	}
	return Shared{With: p, As: as, At: now}, nil
}

// unshare takes p's role had away. Everyone may give up their own.
func (s *Sight) unshare(p PersonID, had Role) (Fact, error) {
	want := ToShare
	if p == s.Viewer {
		want = ToLeave
	}
	if err := s.May(want); err != nil {
		return nil, err
	}
	switch {
	case p == s.Owner:
		return nil, errs.Invalid("already-owner", "An owner's role cannot be taken away.").WithField("userId")
	case had == RoleNone:
		return nil, errs.NotFound("share-not-found", "The note is not shared with this person.").WithField("userId")
	}
	return Unshared{From: p}, nil
}
