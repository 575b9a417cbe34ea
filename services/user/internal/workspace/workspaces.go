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
	// Workspace is ErrNotFound for an id that is no workspace's own.
	Workspace(ctx context.Context, id tenant.ID) (Workspace, error)
	// Resolve is the workspace a slug leads to, or ErrNotFound; ResolveHost the one of a host of its own.
	Resolve(ctx context.Context, slug Slug) (tenant.ID, error)
	ResolveHost(ctx context.Context, host string) (tenant.ID, error)
	// Sought is the workspace that is claimed by the id claim, else the one of the slug, else the one whose own id that is; ErrNotFound without any.
	Sought(ctx context.Context, claim tenant.ID, slug Slug) (Workspace, error)
	// Apply locks what is sought, asks change what to do with it (with the zero one but for ID and Claim if there is none), and saves it in one
	// transaction with the facts. ErrSlugTaken or ErrHostTaken if another workspace has the slug or the host, ErrMoved if others are faster.
	Apply(ctx context.Context, claim tenant.ID, slug Slug, change func(*Workspace) (Changes, error)) (Workspace, error)
	// DeleteWorkspace removes what is claimed by the id and all in it, frees slug and host, and says so; an id that claims no workspace is no error
	// and no fact.
	DeleteWorkspace(ctx context.Context, claim tenant.ID) error
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
	// ID is the workspace's, or what claims it once it was adopted.
	ID    tenant.ID
	Slug  string
	Title string
	// Host is one more name that leads to it; empty for none.
	Host string
	// Administrator may take the workspace up again after it was released; empty is nobody.
	Administrator string
	// Policy is open and without limits when it is zero.
	Policy Policy
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
	if slug, ok := SlugOfHost(host, w.cfg.Base); ok {
		return w.store.Resolve(ctx, slug)
	}
	if host = hostname(host); complete(host) {
		return w.store.ResolveHost(ctx, host)
	}
	return "", ErrNotFound
}

// Apply creates the workspace or makes it match. The same again changes nothing and tells nobody. What was released is taken up again by its
// claim, and by a new one of the same administrator that applies the slug: then all in it stays as it was.
func (w *Workspaces) Apply(ctx context.Context, wanted Wanted) (Workspace, error) {
	t, err := w.terms(wanted)
	if err != nil {
		return Workspace{}, err
	}
	owner, err := w.founder(ctx, wanted, t)
	if err != nil {
		return Workspace{}, err
	}
	return w.store.Apply(ctx, t.claim, t.slug, func(have *Workspace) (Changes, error) { return w.match(have, t, owner) })
}

// terms holds wanted against the rules; the owner comes later, if one is needed.
func (w *Workspaces) terms(wanted Wanted) (t terms, err error) {
	t.claim = wanted.ID
	if t.slug, err = ParseSlug(wanted.Slug); err != nil {
		return t, err
	}
	if t.title, err = parseTitle(wanted.Title, t.slug); err != nil {
		return t, err
	}
	if t.host, err = parseHost(wanted.Host, w.cfg.Base); err != nil {
		return t, err
	}
	if t.administrator, err = parseAdministrator(wanted.Administrator); err != nil {
		return t, err
	}
	t.policy, err = wanted.Policy.checked()
	return t, err
}

func (w *Workspaces) match(have *Workspace, t terms, owner *person.Person) (Changes, error) {
	if have.Version == 0 {
		have.CreatedAt = w.cfg.Now()
	}
	if err := have.yield(t); err != nil {
		return Changes{}, err
	}
	var c Changes
	if have.apply(t) {
		c.Applied = have.applied()
	}
	if have.OwnerID != "" {
		return c, nil
	}
	if owner == nil || owner.Workspace != have.ID { // made or deleted between the look and the lock
		return Changes{}, ErrMoved
	}
	c.Owner = owner
	have.OwnerID = owner.ID
	have.Members++
	return c, nil
}

// founder makes the owner of a workspace that has none, before anything is locked: hashing takes long.
func (w *Workspaces) founder(ctx context.Context, wanted Wanted, t terms) (*person.Person, error) {
	have, err := w.store.Sought(ctx, t.claim, t.slug)
	switch {
	case errors.Is(err, ErrNotFound):
		have.ID = wanted.ID
	case err != nil:
		return nil, err
	default:
		if err := have.yield(t); err != nil {
			return nil, err
		}
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
	p, err := prospect.Join(ctx, have.ID, person.Owner, person.ID(id), w.hasher, w.cfg.Now())
	return &p, err
}

// inOwner says that the field at fault is one of the owner's.
func inOwner(err error) error {
	e := errs.As(err)
	return e.WithField("owner." + e.Field)
}

// Get is the workspace of an id of its own.
func (w *Workspaces) Get(ctx context.Context, id tenant.ID) (Workspace, error) {
	return w.store.Workspace(ctx, id)
}

// Find is the workspace that is claimed by an id, or that has it.
func (w *Workspaces) Find(ctx context.Context, claim tenant.ID) (Workspace, error) {
	return w.store.Sought(ctx, claim, noSlug)
}

// Measure is what a workspace holds. A note service that is away costs the usage, not the answer.
func (w *Workspaces) Measure(ctx context.Context, id tenant.ID) (Usage, error) {
	if w.meter == nil {
		return Usage{}, nil
	}
	used, err := w.meter.Usage(ctx, id)
	if err != nil {
		return Usage{}, ctx.Err()
	}
	return used, nil
}

// Release lets go of the workspace that is claimed by an id; all in it stays, and nobody comes in until it is applied again. What is released,
// deleted or claimed by another id by now is let go of already.
func (w *Workspaces) Release(ctx context.Context, claim tenant.ID) error {
	_, err := w.store.Apply(ctx, claim, noSlug, func(have *Workspace) (c Changes, err error) {
		if have.Version > 0 && have.Claim == claim && have.release(w.cfg.Now()) {
			c.Applied = have.applied()
		}
		return c, nil
	})
	return err
}

// Delete removes the workspace that is claimed by an id, with its people. What is gone already, or claimed by another id by now, is deleted.
func (w *Workspaces) Delete(ctx context.Context, claim tenant.ID) error {
	return w.store.DeleteWorkspace(ctx, claim)
}
