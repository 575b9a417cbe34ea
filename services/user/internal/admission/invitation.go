package admission

import (
	"context"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

// ID is an invitation's id, a UUID in its canonical spelling. Later ones sort after earlier ones. It is no secret.
type ID string

// lifetime of an invitation: long enough for a holiday's mail, short enough that a forgotten one does no harm.
const lifetime = 7 * 24 * time.Hour

// Invitation lets one address join once.
type Invitation struct {
	ID        ID
	Workspace tenant.ID
	Email     person.Email
	CodeHash  []byte
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Errors that callers tell apart.
var (
	ErrNotFound = errs.NotFound("not-found", "There is no such invitation here.")
	ErrMember   = errs.Conflict("already-member",
		"Someone here uses this e-mail address already: they can sign in, or be let in again if they were deactivated.").WithField("email")
)

// Store keeps the invitations of each workspace. An invitation is open until it expires, is used, replaced or taken back.
type Store interface {
	// Invite saves i in the place of another one of its address. ErrClosed if nobody may join, ErrMember if someone has the address.
	Invite(ctx context.Context, i Invitation) error
	// Invitations answers at most limit that are open at now, the newest first, those older than after.
	Invitations(ctx context.Context, in tenant.ID, now time.Time, after ID, limit int) ([]Invitation, error)
	// TakeBack removes an invitation; ErrNotFound if it is not there.
	TakeBack(ctx context.Context, in tenant.ID, id ID) error
}

// Config is the clock and the ids.
type Config struct {
	Now   func() time.Time
	NewID func() (string, error)
}

// Invitations is what an owner can do about invitations.
type Invitations struct {
	store Store
	cfg   Config
}

// NewInvitations keeps invitations in store.
func NewInvitations(store Store, cfg Config) *Invitations {
	return &Invitations{store: store, cfg: cfg}
}

// Invite makes an invitation of an address. The code is told this once; another invitation of the address is worth nothing any more.
func (s *Invitations) Invite(ctx context.Context, by person.Actor, address string) (Invitation, Code, error) {
	if err := by.MustOwn(); err != nil {
		return Invitation{}, NoCode, err
	}
	email, err := person.ParseEmail(address)
	if err != nil {
		return Invitation{}, NoCode, err
	}
	id, err := s.cfg.NewID()
	if err != nil {
		return Invitation{}, NoCode, err
	}
	code, err := newCode()
	if err != nil {
		return Invitation{}, NoCode, err
	}
	now := s.cfg.Now()
	made := Invitation{ID: ID(id), Workspace: by.Workspace, Email: email, CodeHash: code.Hash(), CreatedAt: now, ExpiresAt: now.Add(lifetime)}
	return made, code, s.store.Invite(ctx, made)
}

// Page is a part of a list. Next is where it goes on, empty at its end.
type Page struct {
	Invitations []Invitation
	Next        ID
}

// List answers one page of the open invitations, the newest first; after "" is the beginning.
func (s *Invitations) List(ctx context.Context, by person.Actor, after ID, limit int) (Page, error) {
	if err := by.MustOwn(); err != nil {
		return Page{}, err
	}
	found, err := s.store.Invitations(ctx, by.Workspace, s.cfg.Now(), after, limit+1)
	if err != nil || len(found) <= limit {
		return Page{Invitations: found}, err
	}
	return Page{Invitations: found[:limit], Next: found[limit-1].ID}, nil
}

// TakeBack makes an invitation's code worthless.
func (s *Invitations) TakeBack(ctx context.Context, by person.Actor, id ID) error {
	if err := by.MustOwn(); err != nil {
		return err
	}
	return s.store.TakeBack(ctx, by.Workspace, id)
}
