package postgres

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

type invitationRow struct {
	WorkspaceID string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	Email       string
	CodeHash    []byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// TableName is gorm's way to learn it.
func (invitationRow) TableName() string { return "invitations" }

func (r invitationRow) invitation() admission.Invitation {
	return admission.Invitation{
		ID: admission.ID(r.ID), Workspace: tenant.ID(r.WorkspaceID), Email: person.Email(r.Email), CodeHash: r.CodeHash,
		CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
	}
}

// Entrance is a workspace as an application finds it now.
func (s *Store) Entrance(ctx context.Context, in tenant.ID, a admission.Application) (admission.Entrance, error) {
	var found admission.Entrance
	err := s.in(ctx, in, func(tx *gorm.DB) error {
		allowed, err := readPolicy(tx, in)
		if err != nil {
			return err
		}
		found, err = entrance(tx, allowed, a)
		return err
	})
	return found, err
}

// admit answers whether a may join; if so it stays so until the transaction ends.
func admit(tx *gorm.DB, in tenant.ID, a admission.Application) error {
	allowed, err := lockPolicy(tx, in)
	if err != nil {
		return err
	}
	found, err := entrance(tx, allowed, a)
	if err != nil {
		return err
	}
	return found.Admit(a)
}

func entrance(tx *gorm.DB, allowed workspace.Policy, a admission.Application) (found admission.Entrance, err error) {
	found.Rules = allowed.Admission
	if found.Room, err = room(tx, allowed); err != nil || a.Code == admission.NoCode {
		return found, err
	}
	var invitations int64
	err = tx.Model(&invitationRow{}).Where("email = ? and code_hash = ? and expires_at > ?", string(a.Email), a.Code.Hash(), a.At).Count(&invitations).Error
	if err != nil {
		return found, fmt.Errorf("look the invitation up: %w", err)
	}
	found.Invited = invitations > 0
	return found, nil
}

// room counts only where there is a limit.
func room(tx *gorm.DB, allowed workspace.Policy) (person.Room, error) {
	limit := allowed.Limits.Members
	if limit == 0 {
		return person.Room{}, nil
	}
	var active int64
	if err := tx.Model(&personRow{}).Where("active").Count(&active).Error; err != nil {
		return person.Room{}, fmt.Errorf("count members: %w", err)
	}
	return person.Room{Limit: limit, Taken: int32(active)}, nil
}

// Invite saves an invitation in the place of another one of its address, and forgets those that nobody has used in time.
func (s *Store) Invite(ctx context.Context, i admission.Invitation) error {
	return s.in(ctx, i.Workspace, func(tx *gorm.DB) error {
		allowed, err := lockPolicy(tx, i.Workspace)
		if err != nil {
			return err
		}
		if allowed.Admission.SignUp == admission.Closed {
			return admission.ErrClosed
		}
		var members int64
		if err := tx.Model(&personRow{}).Where("email = ?", string(i.Email)).Count(&members).Error; err != nil {
			return fmt.Errorf("look for the address: %w", err)
		}
		if members > 0 {
			return admission.ErrMember
		}
		err = exec(tx, "forget old invitations", "delete from invitations where email = ? or expires_at <= ?", string(i.Email), i.CreatedAt)
		if err != nil {
			return err
		}
		row := invitationRow{
			WorkspaceID: string(i.Workspace), ID: string(i.ID), Email: string(i.Email), CodeHash: i.CodeHash, CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt,
		}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("add invitation: %w", err)
		}
		return nil
	})
}

// Invitations answers those that are open, the newest first.
func (s *Store) Invitations(ctx context.Context, in tenant.ID, now time.Time, after admission.ID, limit int) ([]admission.Invitation, error) {
	var rows []invitationRow
	err := s.in(ctx, in, func(tx *gorm.DB) error {
		rows = nil
		open := tx.Where("expires_at > ?", now)
		if after != "" {
			open = open.Where("id < ?", string(after))
		}
		return open.Order("id desc").Limit(limit).Find(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	found := make([]admission.Invitation, 0, len(rows))
	for _, r := range rows {
		found = append(found, r.invitation())
	}
	return found, nil
}

// TakeBack removes an invitation.
func (s *Store) TakeBack(ctx context.Context, in tenant.ID, id admission.ID) error {
	return s.in(ctx, in, func(tx *gorm.DB) error {
		done := tx.Exec("delete from invitations where id = ?", string(id))
		if done.Error != nil {
			return fmt.Errorf("take invitation back: %w", done.Error)
		}
		if done.RowsAffected == 0 {
			return admission.ErrNotFound
		}
		return nil
	})
}
