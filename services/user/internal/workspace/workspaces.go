package workspace

import (
	"context"
	"errors"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

// Store keeps workspaces.
type Store interface {
	// Workspace is ErrNotFound for an id that no workspace has.
	Workspace(ctx context.Context, id tenant.ID) (Workspace, error)
	// Resolve is the workspace a slug leads to, or ErrNotFound.
	Resolve(ctx context.Context, slug Slug) (tenant.ID, error)
	// Apply locks the id, asks change what to do with the workspace of that id (the zero one but for ID if there is none), and saves
	// it in one transaction with the facts. ErrSlugTaken if another workspace has the slug.
	Apply(ctx context.Context, id tenant.ID, change func(*Workspace) (Changes, error)) (Workspace, error)
	// DeleteWorkspace removes it and all in it, frees the slug and says so; an id that no workspace has is no error and no fact.
	DeleteWorkspace(ctx context.Context, id tenant.ID) error
}

// Changes is what to save: nothing when both are nil.
type Changes struct {
	Applied *Applied
	Owner   *person.Person
}

// Usage is what a workspace holds in the note service at AsOf; the zero AsOf says that it is not known now.
type Usage struct {
	Notes int32
	Bytes int64
	AsOf  time.Time
}

// Meter asks the note service how much a workspace holds.
type Meter interface {
	Usage(ctx context.Context, id tenant.ID) (Usage, error)
}

// Wanted is what a workspace should be.
type Wanted struct {
	ID    tenant.ID
	Slug  string
	Title string
	// Owner is needed while the workspace has none, and only looked at then.
	Owner *person.Newcomer
}

// Workspaces is what one can do about workspaces.
type Workspaces struct {
	store  Store
	hasher person.Hasher
	meter  Meter
	cfg    Config
}

// Config is the clock, the ids and the parts that may be missing.
type Config struct {
	Now   func() time.Time
	NewID func() (string, error)
	// Base is the domain that slugs stand below.
	Base string
}

// NewWorkspaces keeps workspaces in store; meter may be nil: then usage is not known.
func NewWorkspaces(store Store, hasher person.Hasher, meter Meter, cfg Config) *Workspaces {
	return &Workspaces{store: store, hasher: hasher, meter: meter, cfg: cfg}
}

// OfHost is the workspace that a request's Host leads to.
func (w *Workspaces) OfHost(ctx context.Context, host string) (tenant.ID, error) {
	slug, ok := SlugOfHost(host, w.cfg.Base)
	if !ok {
		return "", ErrNotFound
	}
	return w.store.Resolve(ctx, slug)
}

// Apply creates the workspace or makes it match. The same again changes nothing and tells nobody.
func (w *Workspaces) Apply(ctx context.Context, wanted Wanted) (Workspace, error) {
	slug, err := ParseSlug(wanted.Slug)
	if err != nil {
		return Workspace{}, err
	}
	title, err := parseTitle(wanted.Title, slug)
	if err != nil {
		return Workspace{}, err
	}
	owner, err := w.founder(ctx, wanted)
	if err != nil {
		return Workspace{}, err
	}
	return w.store.Apply(ctx, wanted.ID, func(have *Workspace) (Changes, error) {
		return w.match(have, slug, title, owner)
	})
}

func (w *Workspaces) match(have *Workspace, slug Slug, title string, owner *person.Person) (Changes, error) {
	if have.Version == 0 {
		have.CreatedAt = w.cfg.Now()
	}
	var c Changes
	if have.apply(slug, title) {
		c.Applied = have.applied()
	}
	if have.OwnerID != "" {
		return c, nil
	}
	if owner == nil { // deleted between the look and the lock
		return Changes{}, errs.Conflict("workspace-changed", "The workspace was deleted at the same time. Please try again.")
	}
	c.Owner = owner
	have.OwnerID = owner.ID
	have.Members++
	return c, nil
}

// founder makes the owner of a workspace that has none, before anything is locked: hashing takes long.
func (w *Workspaces) founder(ctx context.Context, wanted Wanted) (*person.Person, error) {
	have, err := w.store.Workspace(ctx, wanted.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if have.OwnerID != "" {
		return nil, nil
	}
	if wanted.Owner == nil {
		return nil, errs.Invalid("owner-missing", "A workspace without an owner needs one.").WithField("owner")
	}
	prospect, err := wanted.Owner.Check()
	if err != nil {
		return nil, inOwner(err)
	}
	id, err := w.cfg.NewID()
	if err != nil {
		return nil, err
	}
	p, err := prospect.Join(ctx, wanted.ID, person.Owner, person.ID(id), w.hasher, w.cfg.Now())
	return &p, err
}

// inOwner says that the field at fault is one of the owner's.
func inOwner(err error) error {
	e := errs.As(err)
	return e.WithField("owner." + e.Field)
}

// Get is the workspace of an id.
func (w *Workspaces) Get(ctx context.Context, id tenant.ID) (Workspace, error) {
	return w.store.Workspace(ctx, id)
}

// Measure is the workspace and what it holds. A note service that is away costs the usage, not the answer.
func (w *Workspaces) Measure(ctx context.Context, id tenant.ID) (Workspace, Usage, error) {
	have, err := w.store.Workspace(ctx, id)
	if err != nil || w.meter == nil {
		return have, Usage{}, err
	}
	used, err := w.meter.Usage(ctx, id)
	if err != nil {
		return have, Usage{}, ctx.Err()
	}
	return have, used, nil
}

// Delete removes the workspace with its people. What is gone already is deleted.
func (w *Workspaces) Delete(ctx context.Context, id tenant.ID) error {
	return w.store.DeleteWorkspace(ctx, id)
}
