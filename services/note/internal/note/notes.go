package note

import (
	"context"
	"fmt"
	"time"

	"noteworks.dev/services/internal/errs"
)

// Notes is what people can do. It holds no state of its own.
type Notes struct {
	store     Store
	directory Directory
	now       func() time.Time
	newID     func() (ID, error)
}

// New returns the use cases over store. now is read to the microsecond, as the database keeps it.
func New(store Store, directory Directory, now func() time.Time, newID func() (ID, error)) *Notes {
	return &Notes{
		store:     store,
		directory: directory,
		now:       func() time.Time { return now().UTC().Truncate(time.Microsecond) },
		newID:     newID,
	}
}

// StaleError says that the note has changed since the version that a change was made to.
type StaleError struct{ Current Sight }

func (e *StaleError) Error() string { return "stale: the note has changed since" }

// Unwrap makes it an errs.Stale to everyone who does not know more.
func (e *StaleError) Unwrap() error {
	return errs.Stale("stale", "The note has changed since the version you started from.")
}

// Create writes a note, unless the workspace has no Room for it. key may be empty; otherwise it makes the same call again answer with the first one's note, and replayed true.
func (n *Notes) Create(ctx context.Context, actor Actor, d Draft, key string) (s Sight, replayed bool, err error) {
	d, err = d.clean()
	if err != nil {
		return Sight{}, false, err
	}
	var once *Once
	if key != "" {
		once = OnceFor(key, d)
	}
	id, err := n.newID()
	if err != nil {
		return Sight{}, false, fmt.Errorf("new id: %w", err)
	}
	now := n.now()
	return n.store.Create(ctx, actor, Note{
		ID: id, Owner: actor.Person, Title: d.Title, Body: d.Body, Tags: d.Tags,
		Version: 1, CreatedAt: now, UpdatedAt: now, UpdatedBy: actor.Person,
	}, once)
}

// Read is the note, also in one's own trash if trashed says so.
func (n *Notes) Read(ctx context.Context, actor Actor, id ID, trashed bool) (Sight, error) {
	if trashed {
		return n.store.Sight(ctx, actor, id, ToReadTrashed)
	}
	return n.store.Sight(ctx, actor, id, ToRead)
}

// Change applies e to version base. Nothing different makes no version. The wrong base is a *StaleError.
func (n *Notes) Change(ctx context.Context, actor Actor, id ID, base int32, e Edit) (Sight, error) {
	if e.Empty() {
		return Sight{}, errs.Invalid("nothing-to-change", "Give a title, a body or tags.")
	}
	e, err := e.clean()
	if err != nil {
		return Sight{}, err
	}
	return n.update(ctx, actor, id, ToEdit, &base, func(s *Sight, now time.Time) Fact { return s.change(e, now) })
}

// Trash puts the note into the trash; base may be nil.
func (n *Notes) Trash(ctx context.Context, actor Actor, id ID, base *int32) error {
	_, err := n.update(ctx, actor, id, ToTrash, base, func(s *Sight, now time.Time) Fact {
		s.touch(now)
		s.TrashedAt = s.UpdatedAt
		return Trashed{}
	})
	return err
}

// Restore takes the note out of the trash.
func (n *Notes) Restore(ctx context.Context, actor Actor, id ID) (Sight, error) {
	return n.update(ctx, actor, id, ToRestore, nil, func(s *Sight, now time.Time) Fact {
		s.touch(now)
		s.TrashedAt = time.Time{}
		return Restored{}
	})
}

// Destroy deletes a note in the trash for good; base may be nil.
func (n *Notes) Destroy(ctx context.Context, actor Actor, id ID, base *int32) error {
	_, err := n.update(ctx, actor, id, ToDestroy, base, func(*Sight, time.Time) Fact { return Destroyed{} })
	return err
}

// Pin pins the note for oneself, or takes the pin away. As it was is fine.
func (n *Notes) Pin(ctx context.Context, actor Actor, id ID, on bool) error {
	_, err := n.update(ctx, actor, id, ToMark, nil, func(s *Sight, now time.Time) Fact {
		if s.Marks.Pinned == on {
			return nil
		}
		s.Marks.Pinned = on
		s.see(now)
		return Pinned{On: on}
	})
	return err
}

// Archive archives the note for oneself, or takes it back. As it was is fine.
func (n *Notes) Archive(ctx context.Context, actor Actor, id ID, on bool) error {
	_, err := n.update(ctx, actor, id, ToMark, nil, func(s *Sight, now time.Time) Fact {
		if s.Marks.Archived == on {
			return nil
		}
		s.Marks.Archived = on
		s.see(now)
		return Archived{On: on}
	})
	return err
}

func (n *Notes) update(ctx context.Context, actor Actor, id ID, want Act, base *int32, change func(*Sight, time.Time) Fact) (Sight, error) {
	return n.store.Update(ctx, actor, id, want, func(s *Sight) (Fact, error) {
		if err := s.May(want); err != nil {
			return nil, err
		}
		if base != nil && *base != s.Version {
			return nil, &StaleError{Current: *s}
		}
		return change(s, n.now()), nil
	})
}

// Share gives who the role as. Somebody whom our copy does not know (they joined a moment ago) is looked up in the directory first, so
// that nothing is locked while another service thinks.
func (n *Notes) Share(ctx context.Context, actor Actor, id ID, who PersonID, as Role) (Given, error) {
	guest, known, err := n.store.Guest(ctx, actor, id, who)
	if err != nil {
		return Given{}, err
	}
	if !known {
		if guest, err = n.stranger(ctx, actor.Workspace, who); err != nil {
			return Given{}, err
		}
	}
	return n.store.UpdateShare(ctx, actor, id, who, func(s *Sight, had Role) (Fact, error) {
		return s.shareWith(guest, had, as, n.now())
	})
}

func (n *Notes) stranger(ctx context.Context, workspace WorkspaceID, who PersonID) (Person, error) {
	p, err := n.directory.Person(ctx, workspace, who)
	if errs.KindOf(err) == errs.KindNotFound {
		return Person{}, ErrNoPerson()
	}
	return p, err
}

// Unshare takes the role of who away, which may be oneself.
func (n *Notes) Unshare(ctx context.Context, actor Actor, id ID, who PersonID) error {
	_, err := n.store.UpdateShare(ctx, actor, id, who, func(s *Sight, had Role) (Fact, error) {
		return s.unshare(who, had)
	})
	return err
}

// RestoreRevision makes the note what it was at version, as a new one after base.
func (n *Notes) RestoreRevision(ctx context.Context, actor Actor, id ID, base, version int32) (Sight, error) {
	was, err := n.store.Revision(ctx, actor, id, version)
	if err != nil {
		return Sight{}, err
	}
	return n.Change(ctx, actor, id, base, Edit{Title: &was.Title, Body: &was.Body, Tags: &was.Tags})
}

// List is a page of the notes that q selects.
func (n *Notes) List(ctx context.Context, actor Actor, q Query) (Page[Item], error) {
	return n.store.List(ctx, actor, q)
}

// Tags counts the tags of the notes one sees.
func (n *Notes) Tags(ctx context.Context, actor Actor) ([]TagCount, error) {
	return n.store.Tags(ctx, actor)
}

// Shares is who sees the note besides its owner, by when they were let in.
func (n *Notes) Shares(ctx context.Context, actor Actor, id ID, w Window) (Page[Given], error) {
	return n.store.Shares(ctx, actor, id, w)
}

// Revisions is what the note was, newest first, without bodies.
func (n *Notes) Revisions(ctx context.Context, actor Actor, id ID, w Window) (Page[Revision], error) {
	return n.store.Revisions(ctx, actor, id, w)
}

// Revision is the note as it was at version.
func (n *Notes) Revision(ctx context.Context, actor Actor, id ID, version int32) (Revision, error) {
	return n.store.Revision(ctx, actor, id, version)
}
