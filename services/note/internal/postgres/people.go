package postgres

import (
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"noteworks.dev/services/note/internal/note"
)

const personByID = `select id, name, active, greatest(name_version, active_version) from people where id = $1 and (name_version > 0 or not active)`

func readPerson(s scanner) (p note.Person, err error) {
	err = s.Scan(&p.ID, &p.Name, &p.Active, &p.Version)
	return p, err
}

// Each part is replaced by a newer one only, so events may come in any order. A deleted person stays deleted.
const (
	upsertName = `
insert into people as p (workspace_id, id, name, name_version) select $1, $2, $3, $4` + unlessDeleted + `
on conflict (workspace_id, id) do update set name = excluded.name, name_version = excluded.name_version
	where p.name_version < excluded.name_version and not p.deleted`

	upsertActive = `
insert into people as p (workspace_id, id, active, active_version) select $1, $2, $3, $4` + unlessDeleted + `
on conflict (workspace_id, id) do update set active = excluded.active, active_version = excluded.active_version
	where p.active_version < excluded.active_version and not p.deleted`

	upsertDeleted = `
insert into people as p (workspace_id, id, active, active_version, deleted) select $1, $2, false, $3, true` + unlessDeleted + `
on conflict (workspace_id, id) do update set name = '', active = false, active_version = excluded.active_version, deleted = true`

	// What comes late for a workspace that is gone is not kept.
	unlessDeleted = ` where not exists (select from workspaces w where w.workspace_id = $1 and w.deleted)`
)

// People is the copy of one workspace's people, in somebody else's transaction.
type People struct {
	tx        *gorm.DB
	workspace note.WorkspaceID
}

// PeopleIn works in tx, which is one of workspace.
func PeopleIn(tx *gorm.DB, workspace note.WorkspaceID) People { return People{tx, workspace} }

// Named takes a name.
func (p People) Named(id note.PersonID, name string, version int32) error {
	_, err := exec(p.tx, upsertName, p.workspace, id, name, version)
	return err
}

// Activated takes whether the person may come in.
func (p People) Activated(id note.PersonID, active bool, version int32) error {
	_, err := exec(p.tx, upsertActive, p.workspace, id, active, version)
	return err
}

// Deleted forgets the person's name, and notes that what was theirs is to be handed to successor.
func (p People) Deleted(id, successor note.PersonID, version int32, now time.Time) error {
	if _, err := exec(p.tx, upsertDeleted, p.workspace, id, version); err != nil {
		return err
	}
	return addChore(p.tx, p.workspace, chore{kind: handOver, person: id, successor: successor}, now)
}

// Workspaces is the copy of one workspace's own data.
type Workspaces struct {
	tx        *gorm.DB
	workspace note.WorkspaceID
}

// WorkspacesIn works in tx, which is one of workspace.
func WorkspacesIn(tx *gorm.DB, workspace note.WorkspaceID) Workspaces {
	return Workspaces{tx, workspace}
}

// Applied takes a workspace's state.
func (w Workspaces) Applied(slug, title string, policy note.Policy, version int32) error {
	_, err := exec(w.tx, `
insert into workspaces as w (workspace_id, slug, title, version, limit_notes, limit_bytes, trash_days, revision_days)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (workspace_id) do update set slug = excluded.slug, title = excluded.title, version = excluded.version,
	limit_notes = excluded.limit_notes, limit_bytes = excluded.limit_bytes, trash_days = excluded.trash_days, revision_days = excluded.revision_days
	where w.version < excluded.version and not w.deleted`,
		w.workspace, slug, title, version, policy.Notes, policy.Bytes, policy.TrashDays, policy.RevisionDays)
	return err
}

// Deleted leaves a tombstone, and notes that all that is in the workspace is to be deleted.
func (w Workspaces) Deleted(now time.Time) error {
	_, err := exec(w.tx, `
insert into workspaces (workspace_id, slug, title, version, deleted) values ($1, '', '', 0, true)
on conflict (workspace_id) do update set slug = '', title = '', deleted = true`, w.workspace)
	if err != nil {
		return err
	}
	return addChore(w.tx, w.workspace, chore{kind: deleteWorkspace}, now)
}

func addChore(tx *gorm.DB, workspace note.WorkspaceID, c chore, now time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = exec(tx, `insert into chores (workspace_id, id, kind, person_id, successor_id, created_at) values ($1, $2, $3, $4, $5, $6)`,
		workspace, id.String(), c.kind, nullID(c.person), nullID(c.successor), now)
	return err
}

func nullID(p note.PersonID) any {
	if p == "" {
		return nil
	}
	return p
}
