// Package admission is who may join a workspace: what its rules say, how much room it has, and the invitations that go past the rules.
// It holds the rules and the use cases, and knows neither HTTP nor SQL. Imports the standard library, errs and the packages of people and tenants.
package admission

import (
	"slices"
	"strings"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
)

// SignUp says who may join.
type SignUp string

// Who may join: everybody, who was invited, or nobody.
const (
	Open    SignUp = "open"
	Invited SignUp = "invitation"
	Closed  SignUp = "closed"
)

// Rules is what a workspace says about who may join.
type Rules struct {
	SignUp SignUp
	// EmailDomains are those whose addresses need no invitation; none is any.
	EmailDomains []string
}

// Application is somebody's wish to join.
type Application struct {
	Email person.Email
	// Code is of an invitation; NoCode is none.
	Code Code
	At   time.Time
}

// Entrance is a workspace as an application finds it.
type Entrance struct {
	Rules Rules
	Room  person.Room
	// Invited: the application's code is of an invitation of its address that is open at its time.
	Invited bool
}

// Why somebody may not join.
var (
	ErrClosed           = errs.Forbidden("sign-up-closed", "Nobody new can join this workspace. If you are in already, please sign in; otherwise ask whoever runs it.")
	ErrInvitationNeeded = errs.Forbidden("invitation-needed", "This workspace is joined by invitation. Please ask its owner for one.").WithField("invitation")
	// ErrInvitationInvalid does not say what is wrong: whoever guesses learns nothing.
	ErrInvitationInvalid = errs.Forbidden("invitation-invalid",
		"This invitation is not for this address, or has been used, replaced or taken back, or is too old. Please ask the workspace's owner for a new one.").WithField("invitation")
	ErrDomain = errs.Forbidden("email-domain-not-allowed",
		"Addresses of this domain need an invitation. Please use another address, or ask the workspace's owner for one.").WithField("email")
)

// Admit lets a pass, or says why not and what to do. An invitation goes past everything but closed doors and a full house.
func (e Entrance) Admit(a Application) error {
	switch {
	case e.Rules.SignUp == Closed:
		return ErrClosed
	case e.Invited:
	case a.Code != NoCode:
		return ErrInvitationInvalid
	case e.Rules.SignUp == Invited:
		return ErrInvitationNeeded
	case !e.Rules.know(a.Email):
		return ErrDomain
	}
	return e.Room.TakeOne()
}

// know reports whether an address is of a domain that needs no invitation. A subdomain is a domain of its own.
func (r Rules) know(address person.Email) bool {
	_, domain, _ := strings.Cut(string(address), "@")
	return len(r.EmailDomains) == 0 || slices.Contains(r.EmailDomains, domain)
}
