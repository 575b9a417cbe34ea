package person

import (
	"context"
	"strings"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/tenant"
)

// Store keeps people. Every method answers for one workspace and ErrNotFound for whoever is not in it. What change returns is saved with
// the person in one transaction: the facts become events, and sessions end as a SessionsEnded says.
type Store interface {
	Person(ctx context.Context, in tenant.ID, id ID) (Person, error)
	PersonByEmail(ctx context.Context, in tenant.ID, email Email) (Person, error)
	// List answers at most q.Limit people in the order of names, those after q.After.
	List(ctx context.Context, in tenant.ID, q Query) ([]Person, error)
	Update(ctx context.Context, in tenant.ID, id ID, change func(*Person) ([]Fact, error)) (Person, error)
	// Readmit is Update for a change that may take room: what room there is stays so until the change is saved.
	Readmit(ctx context.Context, in tenant.ID, id ID, change func(*Person, Room) ([]Fact, error)) (Person, error)
	Delete(ctx context.Context, in tenant.ID, id ID, change func(*Person) ([]Fact, error)) error
}

// Query is what to look for among the people of a workspace; the zero Query is everybody.
type Query struct {
	// Email is a whole address.
	Email Email
	// Text is a part of the name, or the beginning of the address.
	Text  string
	After Place
	Limit int
}

// Place is where a list goes on: after this person. The zero Place is before the first.
type Place struct {
	SortKey string
	ID      ID
}

// SortKey orders names without case; equal ones stand in the order of their ids.
func SortKey(n Name) string { return strings.ToLower(string(n)) }

// Page is a part of a list. Next is nil at its end.
type Page struct {
	People []Person
	Next   *Place
}

// People is what one can do about people.
type People struct {
	store  Store
	hasher Hasher
}

// NewPeople keeps people in store and their passwords by hasher.
func NewPeople(store Store, hasher Hasher) *People { return &People{store: store, hasher: hasher} }

// Find is the active person of an address; ErrNotFound if there is none.
func (p *People) Find(ctx context.Context, in tenant.ID, address string) (Person, error) {
	email, err := ParseEmail(address)
	if err != nil {
		return Person{}, err
	}
	found, err := p.store.PersonByEmail(ctx, in, email)
	if err == nil && !found.Active {
		return Person{}, ErrNotFound
	}
	return found, err
}

// Get is a person by id, also one who was deactivated.
func (p *People) Get(ctx context.Context, in tenant.ID, id ID) (Person, error) {
	return p.store.Person(ctx, in, id)
}

// List answers one page; any member may ask.
func (p *People) List(ctx context.Context, by Actor, q Query) (Page, error) {
	limit := q.Limit
	q.Limit++
	found, err := p.store.List(ctx, by.Workspace, q)
	if err != nil || len(found) <= limit {
		return Page{People: found}, err
	}
	last := found[limit-1]
	return Page{People: found[:limit], Next: &Place{SortKey: SortKey(last.Name), ID: last.ID}}, nil
}

// Change is what a person changes about themselves; nil is left as it is.
type Change struct {
	Name                         *string
	CurrentPassword, NewPassword *string
}

// ChangeProfile changes the actor. A new password needs the current one and ends all other sessions.
func (p *People) ChangeProfile(ctx context.Context, by Actor, c Change) (Person, error) {
	name := by.Name
	if c.Name != nil {
		parsed, err := ParseName(*c.Name)
		if err != nil {
			return Person{}, err
		}
		name = parsed
	}
	switch {
	case c.NewPassword != nil:
		return p.changePassword(ctx, by, name, c)
	case c.Name != nil:
		return p.store.Update(ctx, by.Workspace, by.ID, func(me *Person) ([]Fact, error) { return me.Rename(name), nil })
	}
	return Person{}, errs.Invalid("nothing-to-change", "Give a name, or a new password with the current one.")
}

// changePassword hashes before the transaction: it takes long, and a row must not be locked meanwhile.
func (p *People) changePassword(ctx context.Context, by Actor, name Name, c Change) (Person, error) {
	if c.CurrentPassword == nil {
		return Person{}, errs.Invalid("current-password-missing", "A new password needs the current one.").WithField("currentPassword")
	}
	if err := CheckPassword("newPassword", *c.NewPassword, by.Email, name); err != nil {
		return Person{}, err
	}
	ok, _, err := p.hasher.Verify(ctx, by.Password, *c.CurrentPassword)
	if err != nil {
		return Person{}, err
	}
	if !ok {
		return Person{}, ErrWrongPassword
	}
	next, err := p.hasher.Hash(ctx, *c.NewPassword)
	if err != nil {
		return Person{}, err
	}
	return p.store.Update(ctx, by.Workspace, by.ID, func(me *Person) ([]Fact, error) {
		ended, err := me.SetPassword(by.Password, next, by.Session)
		if err != nil {
			return nil, err
		}
		return append(me.Rename(nameOf(me, c, name)), ended...), nil
	})
}

// nameOf keeps the name as it is now, when none was given: it may have changed since the actor was read.
func nameOf(me *Person, c Change, given Name) Name {
	if c.Name == nil {
		return me.Name
	}
	return given
}

// Deactivate keeps a person out; only the owner may.
func (p *People) Deactivate(ctx context.Context, by Actor, id ID) error {
	_, err := p.store.Update(ctx, by.Workspace, id, func(who *Person) ([]Fact, error) { return who.Deactivate(by) })
	return err
}

// Reactivate lets a person in again, if there is room; only the owner may.
func (p *People) Reactivate(ctx context.Context, by Actor, id ID) error {
	_, err := p.store.Readmit(ctx, by.Workspace, id, func(who *Person, room Room) ([]Fact, error) { return who.Reactivate(by, room) })
	return err
}

// Delete removes a person for good; only the owner may, and inherits.
func (p *People) Delete(ctx context.Context, by Actor, id ID) error {
	return p.store.Delete(ctx, by.Workspace, id, func(who *Person) ([]Fact, error) { return who.Delete(by) })
}

// Newcomer is someone who wants to join, before anything was checked.
type Newcomer struct {
	Email, Name, Password string
	// PasswordField is the name of the field the password came by, for error messages.
	PasswordField string
}

// Prospect is a newcomer whose address, name and password hold the rules.
type Prospect struct {
	Email    Email
	Name     Name
	password string
}

// Check holds n against the rules.
func (n Newcomer) Check() (Prospect, error) {
	email, err := ParseEmail(n.Email)
	if err != nil {
		return Prospect{}, err
	}
	name, err := ParseName(n.Name)
	if err != nil {
		return Prospect{}, err
	}
	field := n.PasswordField
	if field == "" {
		field = "password"
	}
	if err := CheckPassword(field, n.Password, email, name); err != nil {
		return Prospect{}, err
	}
	return Prospect{Email: email, Name: name, password: n.Password}, nil
}

// Join makes the person, hashing the password. Nothing is stored.
func (p Prospect) Join(ctx context.Context, in tenant.ID, as Role, id ID, hasher Hasher, now time.Time) (Person, error) {
	hash, err := hasher.Hash(ctx, p.password)
	if err != nil {
		return Person{}, err
	}
	return Person{
		ID: id, Workspace: in, Email: p.Email, Name: p.Name, Role: as, Active: true, Password: hash, Version: 1, CreatedAt: now,
	}, nil
}
