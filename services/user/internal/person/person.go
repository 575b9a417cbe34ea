// Package person is who: the people of a workspace, their names, addresses and passwords, and what the owner may do to them.
// It holds the rules and the use cases, and knows neither HTTP nor SQL. Imports the standard library, errs and package tenant.
package person

import (
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/tenant"
)

// ID is a person's id, a UUID in its canonical spelling.
type ID string

// Role is what a person may do to the others.
type Role string

// The owner administers the people of the workspace; there is one.
const (
	Owner  Role = "owner"
	Member Role = "member"
)

// Person is one of a workspace.
type Person struct {
	ID        ID
	Workspace tenant.ID
	Email     Email
	Name      Name
	Role      Role
	Active    bool
	Password  PasswordHash
	// Version grows by one with each change that others are told of.
	Version   int32
	CreatedAt time.Time
}

// Actor is who acts, as verified for this request.
type Actor struct {
	Person
	// Session is the one the request came by.
	Session string
}

// Facts that others are told.
type (
	// Fact is one of the types below.
	Fact interface{ fact() }
	// Registered: someone joined.
	Registered struct {
		ID      ID
		Name    Name
		Role    Role
		Version int32
	}
	// Renamed: a person's name changed.
	Renamed struct {
		ID      ID
		Name    Name
		Version int32
	}
	// Deactivated: a person may not come in any more.
	Deactivated struct {
		ID, Actor ID
		Version   int32
	}
	// Reactivated: a person may come in again.
	Reactivated struct {
		ID, Actor ID
		Version   int32
	}
	// Deleted: a person is gone and what was theirs is Successor's.
	Deleted struct {
		ID, Actor, Successor ID
		Version              int32
	}
	// SessionsEnded: these sessions of a person are over, or all but Keep when Sessions is empty. The store ends what it says.
	SessionsEnded struct {
		ID       ID
		Sessions []string
		Keep     string
		Reason   EndReason
	}
)

func (Registered) fact()    {}
func (Renamed) fact()       {}
func (Deactivated) fact()   {}
func (Reactivated) fact()   {}
func (Deleted) fact()       {}
func (SessionsEnded) fact() {}

// EndReason says why sessions ended; it is part of the event's contract.
type EndReason string

// Why sessions end.
const (
	SignedOut       EndReason = "signed-out"
	PasswordChanged EndReason = "password-changed"
	ReusedToken     EndReason = "reused-token"
	WasDeactivated  EndReason = "deactivated"
	WasDeleted      EndReason = "deleted"
)

// Errors that callers tell apart.
var (
	ErrNotFound   = errs.NotFound("not-found", "There is no such person here.")
	ErrEmailTaken = errs.Conflict("email-taken", "Someone here uses this e-mail address already.").WithField("email")
	ErrOwnerOnly  = errs.Forbidden("owner-only", "Only the owner of the workspace may do this.")
	ErrOwnerStays = errs.Conflict("owner-stays", "The owner can be neither deactivated nor deleted.")
	// ErrPasswordMoved says that the password is not the one that was checked any more.
	ErrPasswordMoved = errs.Conflict("password-changed-meanwhile", "The password was changed at the same time. Please try again.")
	ErrWrongPassword = errs.Forbidden("wrong-password", "This is not the current password.").WithField("currentPassword")
)

// Registered is the fact of p having joined.
func (p *Person) Registered() Registered {
	return Registered{ID: p.ID, Name: p.Name, Role: p.Role, Version: p.Version}
}

// Rename gives p a new name; the same one is no fact.
func (p *Person) Rename(to Name) []Fact {
	if p.Name == to {
		return nil
	}
	p.Name = to
	p.Version++
	return []Fact{Renamed{ID: p.ID, Name: to, Version: p.Version}}
}

// SetPassword replaces the password that was checked and ends all sessions but keep.
func (p *Person) SetPassword(checked, next PasswordHash, keep string) ([]Fact, error) {
	if p.Password != checked {
		return nil, ErrPasswordMoved
	}
	p.Password = next
	return []Fact{SessionsEnded{ID: p.ID, Keep: keep, Reason: PasswordChanged}}, nil
}

// Deactivate keeps p out and ends their sessions. Once is enough: again is no fact.
func (p *Person) Deactivate(by Actor) ([]Fact, error) {
	if err := by.mayAdminister(p); err != nil || !p.Active {
		return nil, err
	}
	p.Active = false
	p.Version++
	return []Fact{
		Deactivated{ID: p.ID, Actor: by.ID, Version: p.Version},
		SessionsEnded{ID: p.ID, Reason: WasDeactivated},
	}, nil
}

// Reactivate lets p in again, if there is room.
func (p *Person) Reactivate(by Actor, room Room) ([]Fact, error) {
	if err := by.mayAdminister(p); err != nil || p.Active {
		return nil, err
	}
	if err := room.TakeOne(); err != nil {
		return nil, err
	}
	p.Active = true
	p.Version++
	return []Fact{Reactivated{ID: p.ID, Actor: by.ID, Version: p.Version}}, nil
}

// Delete is what is said when p goes for good: by becomes the successor.
func (p *Person) Delete(by Actor) ([]Fact, error) {
	if err := by.mayAdminister(p); err != nil {
		return nil, err
	}
	p.Version++
	return []Fact{
		Deleted{ID: p.ID, Actor: by.ID, Successor: by.ID, Version: p.Version},
		SessionsEnded{ID: p.ID, Reason: WasDeleted},
	}, nil
}

// MustOwn is ErrOwnerOnly for everybody but the owner of the workspace.
func (a Actor) MustOwn() error {
	if a.Role != Owner {
		return ErrOwnerOnly
	}
	return nil
}

func (a Actor) mayAdminister(p *Person) error {
	if err := a.MustOwn(); err != nil {
		return err
	}
	if p.Role == Owner {
		return ErrOwnerStays
	}
	return nil
}
