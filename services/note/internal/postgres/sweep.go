package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/note/internal/note"
)

// batch bounds how much one transaction of housekeeping changes, and so how long it holds locks.
const batch = 100

const (
	handOver        = "hand-over"
	deleteWorkspace = "delete-workspace"
)

// chore is work that an event left behind.
type chore struct {
	id                string
	kind              string
	person, successor note.PersonID
}

// Waiting names the workspaces with chores, those that wait longest first.
func (s *Store) Waiting(ctx context.Context) ([]note.WorkspaceID, error) {
	return s.sweep(ctx, `select workspace_id from chores group by workspace_id order by min(created_at) limit 1000`)
}

// Workspaces names all that are there.
func (s *Store) Workspaces(ctx context.Context) ([]note.WorkspaceID, error) {
	return s.sweep(ctx, `select workspace_id from workspaces where not deleted order by workspace_id`)
}

func (s *Store) sweep(ctx context.Context, statement string) ([]note.WorkspaceID, error) {
	var all []note.WorkspaceID
	err := s.db.Tx(ctx, func(tx *gorm.DB) error {
		if _, err := exec(tx, `select set_config('noteworks.sweep', 'on', true)`); err != nil {
			return err
		}
		var err error
		all, err = rows(tx, value[note.WorkspaceID], statement)
		return err
	})
	return all, err
}

// Chore does one batch of the workspace's oldest chore; false when there is none, or another replica is at it.
func (s *Store) Chore(ctx context.Context, workspace note.WorkspaceID) (bool, error) {
	var found bool
	err := s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) error {
		var (
			c   chore
			err error
		)
		c, found, err = row(tx, readChore, `
select id, kind, coalesce(person_id::text, ''), coalesce(successor_id::text, '') from chores
order by created_at, id limit 1 for update skip locked`)
		if err != nil || !found {
			return err
		}
		if err := s.do(tx, workspace, c); err != nil {
			return fmt.Errorf("%s in workspace %s: %w", c.kind, workspace, err)
		}
		return nil
	})
	return found, err
}

func readChore(s scanner) (c chore, err error) {
	err = s.Scan(&c.id, &c.kind, &c.person, &c.successor)
	return c, err
}

// do does a batch, and strikes the chore off when there was nothing left to do. Events come last in the transaction.
func (s *Store) do(tx *gorm.DB, workspace note.WorkspaceID, c chore) error {
	var (
		events []event.Event
		more   bool
		err    error
	)
	switch c.kind {
	case handOver:
		events, more, err = handOverSome(tx, workspace, c)
	case deleteWorkspace:
		more, err = deleteSome(tx)
	default:
		err = errors.New("unknown kind of chore")
	}
	if err != nil {
		return err
	}
	if !more {
		if _, err := exec(tx, `delete from chores where id = $1`, c.id); err != nil {
			return err
		}
	}
	switch {
	case c.kind == deleteWorkspace && !more:
		return s.forget(tx, workspace)
	case len(events) == 0:
		return nil
	}
	return s.outbox.Append(tx, events...)
}

// forget says that nothing of the workspace is left, and leaves nothing of what was said before.
func (s *Store) forget(tx *gorm.DB, workspace note.WorkspaceID) error {
	last, err := event.New(string(workspace), string(workspace), &notev1.WorkspaceCleared{WorkspaceId: string(workspace)})
	if err != nil {
		return err
	}
	return s.outbox.Forget(tx, last)
}

// handOverSome takes a deleted person out of a batch of notes: their own go to the successor, of others' they lose sight. Without a successor
// their own stay as they are.
func handOverSome(tx *gorm.DB, workspace note.WorkspaceID, c chore) (events []event.Event, more bool, err error) {
	ids, err := rows(tx, value[note.ID], `
select n.id from notes n join note_access a on a.workspace_id = n.workspace_id and a.note_id = n.id
where a.person_id = $1 and (a.role < 4 or $2) order by n.id limit $3 for update of n`, c.person, c.successor != "", batch)
	if err != nil {
		return nil, false, err
	}
	for _, id := range ids {
		e, err := handOverOne(tx, workspace, c, id)
		if err != nil {
			return nil, false, err
		}
		events = append(events, e...)
	}
	return events, len(ids) == batch, nil
}

func handOverOne(tx *gorm.DB, workspace note.WorkspaceID, c chore, id note.ID) ([]event.Event, error) {
	actor := note.Actor{Person: c.person, Workspace: workspace}
	got, err := lock(tx, actor, id)
	if err != nil || got.Role == note.RoleNone {
		return nil, err // somebody took it from them meanwhile
	}
	var fact note.Fact = note.Unshared{From: c.person}
	if got.Role == note.RoleOwner {
		fact = note.OwnerChanged{To: c.successor}
		_, err = exec(tx, passOn, workspace, id, c.person, c.successor)
	} else {
		_, err = exec(tx, deleteAccess, id, c.person)
	}
	if err != nil {
		return nil, err
	}
	e, err := eventOf(actor, &got.Sight, fact)
	return []event.Event{e}, err
}

// passOn gives a note another owner. Whatever share they had becomes that; the marks on it stay.
const passOn = `
with n as (
	update notes set owner_id = $4, access_version = access_version + 1 where id = $2 returning updated_at
), before as (
	delete from note_access where note_id = $2 and person_id = $3 returning granted_at
)
insert into note_access as a (workspace_id, note_id, person_id, role, granted_by, granted_at, seen_at)
select $1, $2, $4, 4, $4, now(), now() from before
on conflict (workspace_id, note_id, person_id) do update set role = 4, granted_by = excluded.granted_by,
	seen_at = greatest(excluded.seen_at, date_trunc('second', greatest(a.seen_at, (select updated_at from n))) + interval '1 second')`

// deleteSome deletes a batch of what a deleted workspace holds. Nobody is told: WorkspaceDeleted has said it.
func deleteSome(tx *gorm.DB) (more bool, err error) {
	ids, err := rows(tx, value[note.ID], `select id from notes limit $1`, batch)
	if err != nil {
		return false, err
	}
	if len(ids) > 0 {
		_, err = exec(tx, deleteNotes, texts(ids), shardOf(ids[0]))
		return true, err
	}
	for _, table := range []string{"note_access", "note_revisions", "note_tags", "note_search", "note_usage", "idempotency_keys", "people"} {
		n, err := exec(tx, `delete from `+table+` where ctid in (select ctid from `+table+` limit $1)`, batch)
		if err != nil || n == batch {
			return true, err
		}
	}
	return false, nil
}

// Retention is how long a workspace keeps things.
func (s *Store) Retention(ctx context.Context, workspace note.WorkspaceID) (note.Retention, error) {
	var r note.Retention
	err := s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) (err error) {
		r, _, err = row(tx, readRetention, `select trash_days, revision_days from workspaces`)
		return err
	})
	return r, err
}

func readRetention(s scanner) (note.Retention, error) {
	var trash, revisions int64
	err := s.Scan(&trash, &revisions)
	return note.Retention{Trash: days(trash), Revisions: days(revisions)}, err
}

// days is a century at most: of much more, a Duration would make a negative time, and everything would be old.
func days(n int64) time.Duration {
	const day, century = 24 * time.Hour, 36_500
	return time.Duration(min(n, century)) * day
}

// EmptyTrash deletes for good what has been in the trash since before, one batch of it, and says whether there may be more.
func (s *Store) EmptyTrash(ctx context.Context, workspace note.WorkspaceID, before time.Time) (bool, error) {
	var more bool
	err := s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) error {
		old, err := rows(tx, readOld, `
select id, owner_id, version from notes where trashed_at < $1 order by id limit $2 for update skip locked`, before, batch)
		if more = len(old) == batch; err != nil || len(old) == 0 {
			return err
		}
		ids := make([]note.ID, len(old))
		events := make([]event.Event, len(old))
		for i := range old {
			ids[i] = old[i].ID
			if events[i], err = eventOf(note.Actor{Workspace: workspace}, &old[i], note.Destroyed{}); err != nil {
				return err
			}
		}
		if _, err := exec(tx, deleteNotes, texts(ids), shardOf(ids[0])); err != nil {
			return err
		}
		return s.outbox.Append(tx, events...)
	})
	return more, err
}

func readOld(s scanner) (sight note.Sight, err error) {
	err = s.Scan(&sight.ID, &sight.Owner, &sight.Version)
	return sight, err
}

// Forget deletes a batch of idempotency keys used before, and says whether there may be more.
func (s *Store) Forget(ctx context.Context, workspace note.WorkspaceID, now time.Time) (bool, error) {
	return s.delete(ctx, workspace, `
delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < $1 limit $2)`, now.Add(-keepKeys), batch)
}

// Thin deletes a batch of revisions made between since and before that the same person replaced within the same five minutes: of a run of
// automatic saves its end stays. The first version and the present one always do. It says whether there may be more.
func (s *Store) Thin(ctx context.Context, workspace note.WorkspaceID, since, before time.Time) (bool, error) {
	return s.delete(ctx, workspace, `
delete from note_revisions where (note_id, version) in (
	select r.note_id, r.version
	from note_revisions r, lateral (
		select next.author_id, next.created_at from note_revisions next
		where next.workspace_id = r.workspace_id and next.note_id = r.note_id and next.version > r.version
		order by next.version limit 1
	) next
	where r.created_at >= $1 and r.created_at < $2 and r.version > 1 and next.author_id = r.author_id
		and date_bin('5 minutes', next.created_at, 'epoch') = date_bin('5 minutes', r.created_at, 'epoch')
	limit $3)`, since, before, batch)
}

// Expire deletes a batch of versions that were replaced before, those first that were made first, from since on. It answers where the next batch
// begins, and whether there may be one: what stays is not looked at again for each batch.
func (s *Store) Expire(ctx context.Context, workspace note.WorkspaceID, since, before time.Time) (next time.Time, more bool, err error) {
	var gone expired
	err = s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) (err error) {
		gone, _, err = row(tx, readExpired, `
with old as materialized (
	select r.note_id, r.version, r.created_at from note_revisions r
	where r.created_at >= $1 and r.created_at < $2 and exists (
		select from note_revisions next
		where next.workspace_id = r.workspace_id and next.note_id = r.note_id and next.version > r.version and next.created_at < $2)
	order by r.created_at limit $3
), gone as (
	delete from note_revisions r using old where r.note_id = old.note_id and r.version = old.version
)
select count(*), coalesce(max(created_at), $1::timestamptz) from old`, since, before, batch)
		return err
	})
	return gone.last, gone.versions == batch, err
}

type expired struct {
	versions int
	last     time.Time // when the last one of them was made
}

func readExpired(s scanner) (e expired, err error) {
	err = s.Scan(&e.versions, &e.last)
	return e, err
}

func (s *Store) delete(ctx context.Context, workspace note.WorkspaceID, statement string, args ...any) (bool, error) {
	var deleted int64
	err := s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) (err error) {
		deleted, err = exec(tx, statement, args...)
		return err
	})
	return deleted == batch, err
}
