package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

type workspaceRow struct {
	ID            string
	Claim         string
	Slug          string
	Host          *string
	Title         string
	Version       int32
	Administrator string
	Policy        policyColumn
	CreatedAt     time.Time
	ReleasedAt    *time.Time
	OwnerID       *string
	Members       int32
}

func (r workspaceRow) workspace() workspace.Workspace {
	w := workspace.Workspace{
		ID: tenant.ID(r.ID), Claim: tenant.ID(r.Claim), Slug: workspace.Slug(r.Slug), Title: r.Title, Version: r.Version,
		Administrator: r.Administrator, Policy: workspace.Policy(r.Policy), CreatedAt: r.CreatedAt, Members: r.Members,
	}
	if r.Host != nil {
		w.Host = *r.Host
	}
	if r.ReleasedAt != nil {
		w.ReleasedAt = *r.ReleasedAt
	}
	if r.OwnerID != nil {
		w.OwnerID = person.ID(*r.OwnerID)
	}
	return w
}

// Workspace is the workspace of an id.
func (s *Store) Workspace(ctx context.Context, id tenant.ID) (workspace.Workspace, error) {
	var found workspace.Workspace
	err := s.in(ctx, id, func(tx *gorm.DB) (err error) {
		found, err = readWorkspace(tx, id)
		return err
	})
	return found, err
}

// Resolve is the workspace a slug leads to.
func (s *Store) Resolve(ctx context.Context, slug workspace.Slug) (tenant.ID, error) {
	return s.directory(ctx, "slug = ?", string(slug))
}

// ResolveHost is the workspace a host of its own leads to.
func (s *Store) ResolveHost(ctx context.Context, host string) (tenant.ID, error) {
	return s.directory(ctx, "host = ?", host)
}

func (s *Store) directory(ctx context.Context, condition, value string) (tenant.ID, error) {
	var row struct{ WorkspaceID string }
	err := s.db.Tx(ctx, func(tx *gorm.DB) error {
		return one(tx.Table("slugs").Select("workspace_id").Where(condition, value), &row, workspace.ErrNotFound)
	})
	return tenant.ID(row.WorkspaceID), err
}

// Sought is the workspace that a claim or a slug leads to.
func (s *Store) Sought(ctx context.Context, claim tenant.ID, slug workspace.Slug) (workspace.Workspace, error) {
	home, err := s.home(ctx, claim, slug)
	if err != nil {
		return workspace.Workspace{}, err
	}
	return s.Workspace(ctx, home)
}

// Apply makes a workspace what change wants it to be.
func (s *Store) Apply(
	ctx context.Context, claim tenant.ID, slug workspace.Slug, change func(*workspace.Workspace) (workspace.Changes, error),
) (workspace.Workspace, error) {
	var have workspace.Workspace
	err := s.hold(ctx, claim, slug, func(tx *gorm.DB, home tenant.ID) error {
		var err error
		if have, err = readWorkspace(tx, home); errors.Is(err, workspace.ErrNotFound) {
			have, err = workspace.Workspace{ID: home, Claim: home}, nil
		}
		if err != nil {
			return err
		}
		changes, err := change(&have)
		if err != nil {
			return err
		}
		return s.saveWorkspace(tx, have, changes)
	})
	return have, err
}

func (s *Store) saveWorkspace(tx *gorm.DB, w workspace.Workspace, changes workspace.Changes) error {
	var told []proto.Message
	if changes.Applied != nil {
		if err := putWorkspace(tx, w); err != nil {
			return err
		}
		told = append(told, appliedMessage(*changes.Applied))
	}
	if changes.Owner != nil {
		if err := addPerson(tx, *changes.Owner); err != nil {
			return err
		}
		told = append(told, message(changes.Owner.Registered()))
	}
	return s.tell(tx, w.ID, told...)
}

// DeleteWorkspace removes a workspace and everything in it.
func (s *Store) DeleteWorkspace(ctx context.Context, claim tenant.ID) error {
	return s.hold(ctx, claim, "", func(tx *gorm.DB, home tenant.ID) error {
		have, err := readWorkspace(tx, home)
		switch {
		case errors.Is(err, workspace.ErrNotFound), err == nil && have.Claim != claim:
			return nil
		case err != nil:
			return err
		}
		if err := exec(tx, "delete workspace", "delete from workspaces where id = ?", string(home)); err != nil {
			return err
		}
		return s.forget(tx, home)
	})
}

// hold runs fn in the workspace that claim and slug lead to, and which does not change as long as fn runs. That is known only under the workspace's
// lock, and which lock to take only after a look: so it looks twice, and again when somebody came between.
func (s *Store) hold(ctx context.Context, claim tenant.ID, slug workspace.Slug, fn func(tx *gorm.DB, home tenant.ID) error) error {
	const looks = 3
	for range looks {
		home, err := s.home(ctx, claim, slug)
		if err != nil {
			return err
		}
		moved := false
		err = s.in(ctx, home, func(tx *gorm.DB) error {
			if err := lockWorkspace(tx, home); err != nil {
				return err
			}
			now, err := homeOf(tx, claim, slug)
			if moved = now != home; err != nil || moved {
				return err
			}
			return fn(tx, home)
		})
		if err != nil || !moved {
			return err
		}
	}
	return workspace.ErrMoved
}

func (s *Store) home(ctx context.Context, claim tenant.ID, slug workspace.Slug) (home tenant.ID, err error) {
	err = s.db.Tx(ctx, func(tx *gorm.DB) (err error) {
		home, err = homeOf(tx, claim, slug)
		return err
	})
	return home, err
}

// homeOf is the workspace that is claimed by claim, else the one of the slug, else claim: the one whose own id that is, or a new one's.
func homeOf(tx *gorm.DB, claim tenant.ID, slug workspace.Slug) (tenant.ID, error) {
	var rows []struct{ WorkspaceID string }
	err := tx.Raw(`select workspace_id, 1 as rank from slugs where coalesce(claim, workspace_id) = ?
		union all select workspace_id, 2 from slugs where slug = ? order by rank limit 1`, string(claim), string(slug)).Scan(&rows).Error
	if err != nil {
		return "", fmt.Errorf("look the workspace up: %w", err)
	}
	if len(rows) == 0 {
		return claim, nil
	}
	return tenant.ID(rows[0].WorkspaceID), nil
}

// lockWorkspace makes those who apply the same workspace take turns, also before there is a row to lock.
func lockWorkspace(tx *gorm.DB, id tenant.ID) error {
	return exec(tx, "lock workspace", "select pg_advisory_xact_lock(hashtextextended(?, 0))", "workspace:"+string(id))
}

func readWorkspace(tx *gorm.DB, id tenant.ID) (workspace.Workspace, error) {
	const columns = `workspaces.id, coalesce(slugs.claim, workspaces.id) as claim, slugs.slug, slugs.host, title, version, administrator, policy,
		created_at, released_at,
		(select p.id from people p where p.workspace_id = workspaces.id and p.role = 'owner') as owner_id,
		(select count(*) from people p where p.workspace_id = workspaces.id and p.active) as members`
	var row workspaceRow
	query := tx.Table("workspaces").Select(columns).Joins("join slugs on slugs.workspace_id = workspaces.id").Where("workspaces.id = ?", string(id))
	err := one(query, &row, workspace.ErrNotFound)
	return row.workspace(), err
}

func putWorkspace(tx *gorm.DB, w workspace.Workspace) error {
	err := exec(tx, "save workspace", `insert into workspaces (id, title, version, created_at, administrator, policy, released_at) values (?, ?, ?, ?, ?, ?, ?)
		on conflict (id) do update set title = excluded.title, version = excluded.version, administrator = excluded.administrator,
			policy = excluded.policy, released_at = excluded.released_at`,
		string(w.ID), w.Title, w.Version, w.CreatedAt, w.Administrator, policyColumn(w.Policy), unlessZero(w.ReleasedAt))
	if err != nil {
		return err
	}
	return putAddress(tx, w)
}

// putAddress says in the directory what leads to w. Its claim stands there only if it is not its own id.
func putAddress(tx *gorm.DB, w workspace.Workspace) error {
	err := exec(tx, "take slug", `insert into slugs (slug, workspace_id, claim, host) values (?, ?, nullif(?::uuid, ?::uuid), nullif(?, ''))
		on conflict (workspace_id) do update set slug = excluded.slug, claim = excluded.claim, host = excluded.host`,
		string(w.Slug), string(w.ID), string(w.Claim), string(w.ID), w.Host)
	switch {
	case pg.IsUniqueViolation(err, "slugs_pkey"):
		return workspace.ErrSlugTaken.WithCause(err)
	case pg.IsUniqueViolation(err, "slugs_host"):
		return workspace.ErrHostTaken.WithCause(err)
	case pg.IsUniqueViolation(err, "slugs_claim"):
		return workspace.ErrMoved.WithCause(err)
	}
	return err
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
