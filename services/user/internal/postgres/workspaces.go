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
	ID        string
	Slug      string
	Title     string
	Version   int32
	CreatedAt time.Time
	OwnerID   *string
	Members   int32
}

func (r workspaceRow) workspace() workspace.Workspace {
	w := workspace.Workspace{
		ID: tenant.ID(r.ID), Slug: workspace.Slug(r.Slug), Title: r.Title, Version: r.Version, CreatedAt: r.CreatedAt, Members: r.Members,
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
	var row struct{ WorkspaceID string }
	err := s.db.Tx(ctx, func(tx *gorm.DB) error {
		return one(tx.Table("slugs").Select("workspace_id").Where("slug = ?", string(slug)), &row, workspace.ErrNotFound)
	})
	return tenant.ID(row.WorkspaceID), err
}

// Apply makes a workspace what change wants it to be.
func (s *Store) Apply(
	ctx context.Context, id tenant.ID, change func(*workspace.Workspace) (workspace.Changes, error),
) (workspace.Workspace, error) {
	var have workspace.Workspace
	err := s.in(ctx, id, func(tx *gorm.DB) error {
		if err := lockWorkspace(tx, id); err != nil {
			return err
		}
		var err error
		if have, err = readWorkspace(tx, id); errors.Is(err, workspace.ErrNotFound) {
			have, err = workspace.Workspace{ID: id}, nil
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
func (s *Store) DeleteWorkspace(ctx context.Context, id tenant.ID) error {
	return s.in(ctx, id, func(tx *gorm.DB) error {
		if err := lockWorkspace(tx, id); err != nil {
			return err
		}
		done := tx.Exec("delete from workspaces where id = ?", string(id))
		if done.Error != nil {
			return fmt.Errorf("delete workspace: %w", done.Error)
		}
		if done.RowsAffected == 0 {
			return nil
		}
		return s.forget(tx, id)
	})
}

// lockWorkspace makes those who apply the same id take turns, also before there is a row to lock.
func lockWorkspace(tx *gorm.DB, id tenant.ID) error {
	return exec(tx, "lock workspace", "select pg_advisory_xact_lock(hashtextextended(?, 0))", "workspace:"+string(id))
}

func readWorkspace(tx *gorm.DB, id tenant.ID) (workspace.Workspace, error) {
	const columns = `workspaces.id, slugs.slug, title, version, created_at,
		(select p.id from people p where p.workspace_id = workspaces.id and p.role = 'owner') as owner_id,
		(select count(*) from people p where p.workspace_id = workspaces.id and p.active) as members`
	var row workspaceRow
	query := tx.Table("workspaces").Select(columns).Joins("join slugs on slugs.workspace_id = workspaces.id").Where("workspaces.id = ?", string(id))
	err := one(query, &row, workspace.ErrNotFound)
	return row.workspace(), err
}

func putWorkspace(tx *gorm.DB, w workspace.Workspace) error {
	err := exec(tx, "save workspace", `insert into workspaces (id, title, version, created_at) values (?, ?, ?, ?)
		on conflict (id) do update set title = excluded.title, version = excluded.version`, string(w.ID), w.Title, w.Version, w.CreatedAt)
	if err != nil {
		return err
	}
	err = exec(tx, "take slug", `insert into slugs (slug, workspace_id) values (?, ?)
		on conflict (workspace_id) do update set slug = excluded.slug`, string(w.Slug), string(w.ID))
	if pg.IsUniqueViolation(err, "slugs_pkey") {
		return workspace.ErrSlugTaken.WithCause(err)
	}
	return err
}
