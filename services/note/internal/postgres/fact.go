package postgres

import (
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/note/internal/note"
)

// A workspace that was deleted takes no notes from those whose token outlived it, and one that is full takes none from anybody. In one without limits
// nobody waits for their turn or counts.
const insertNote = `
with w as materialized (
	select deleted, case when not deleted and (limit_notes > 0 or limit_bytes > 0) then note_room($10) end as room
	from workspaces where workspace_id = $1
), n as (
	insert into notes (workspace_id, id, owner_id, title, body, tags, version, created_at, updated_at, updated_by)
	select $1, $2, $3, $4, $5, $6, $7, $8, $8, $3
	where not exists (select from w where deleted or room[1] < 1 or (room[2] < octet_length($5::text) and $5 <> ''))
	returning workspace_id, id, owner_id, title, body, tags, version, created_at
), a as (
	insert into note_access (workspace_id, note_id, person_id, role, granted_by, granted_at, seen_at)
	select workspace_id, id, owner_id, 4, owner_id, created_at, created_at from n
), r as (
	insert into note_revisions (workspace_id, note_id, version, title, body, tags, author_id, created_at)
	select workspace_id, id, version, title, body, tags, owner_id, created_at from n
), c as (
	insert into note_usage as c (workspace_id, shard, notes, bytes)
	select workspace_id, $9, 1, octet_length(body) from n
	on conflict (workspace_id, shard) do update set notes = c.notes + excluded.notes, bytes = c.bytes + excluded.bytes
)
select n.id is not null, coalesce(w.deleted, false), w.room[1], w.room[2],
	coalesce((select p.name from people p where p.workspace_id = n.workspace_id and p.id = n.owner_id), '')
from (select) one left join n on true left join w on true`

// inserted is what became of a new note.
type inserted struct {
	written, gone bool
	room          note.Room
	name          string
}

func readInserted(s scanner) (i inserted, err error) {
	err = s.Scan(&i.written, &i.gone, &i.room.Notes, &i.room.Bytes, &i.name)
	return i, err
}

// refused is why a note was not written.
func (i inserted) refused(n *note.Note) error {
	if i.gone {
		return errs.NotFound("workspace-not-found", "The workspace has been deleted.")
	}
	if err := i.room.Takes(n.Usage()); err != nil {
		return err
	}
	return errors.New("not written, although there is room for it")
}

// insert writes a new note, with its owner's access and its first revision.
func insert(tx *gorm.DB, actor note.Actor, n note.Note) (note.Sight, error) {
	in, _, err := row(tx, readInserted, insertNote,
		actor.Workspace, n.ID, n.Owner, n.Title, n.Body, jsonText(n.Tags), n.Version, n.CreatedAt, shardOf(n.ID), turnClass)
	if err != nil {
		return note.Sight{}, err
	}
	if !in.written {
		return note.Sight{}, in.refused(&n)
	}
	if len(n.Tags) > 0 {
		if _, err := exec(tx, insertTags, tagArgs(actor.Workspace, n.ID, n.Tags)...); err != nil {
			return note.Sight{}, err
		}
	}
	return note.Sight{
		Note: n, Viewer: actor.Person, Role: note.RoleOwner, Audience: []note.PersonID{n.Owner},
		OwnerName: in.name, UpdatedByName: in.name, ViewerName: in.name, SeenAt: n.CreatedAt,
	}, nil
}

// keep queues what happened as rows. sight is the note after it, and more what it adds to the workspace.
func keep(last *pg.Last, workspace note.WorkspaceID, sight *note.Sight, fact note.Fact, more note.Usage) error {
	switch f := fact.(type) {
	case note.Changed:
		keepChanges(last, workspace, []edited{{sight, f}}, more)
	case note.Trashed, note.Restored:
		keepTrash(last, sight, more)
	case note.Destroyed:
		last.Queue(deleteNotes, []string{string(sight.ID)}, shardOf(sight.ID))
	case note.Shared:
		if f.With.Version > 0 { // the directory's word; our copy may not have it yet
			last.Queue(upsertName, workspace, f.With.ID, f.With.Name, f.With.Version)
			last.Queue(upsertActive, workspace, f.With.ID, f.With.Active, f.With.Version)
		}
		last.Queue(upsertAccess, workspace, sight.ID, f.With.ID, int16(f.As), sight.Viewer, f.At)
	case note.Unshared:
		last.Queue(deleteAccess, sight.ID, f.From)
	case note.Pinned, note.Archived:
		last.Queue(updateMarks, sight.ID, sight.Viewer, sight.Marks.Pinned, sight.Marks.Archived, sight.SeenAt)
	default:
		return fmt.Errorf("%T is not kept here", fact)
	}
	return nil
}

// edited is a note after a change of its content.
type edited struct {
	sight *note.Sight
	fact  note.Changed
}

// A part that is null stays as it is and is not sent. The revision is what the row then says. Counted only when there is something to count.
const (
	changeContents = `
with i as (
	select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[], $7::uuid[])
		as i (id, title, body, tags, version, updated_at, updated_by)
), n as (
	update notes n set title = coalesce(i.title, n.title), body = coalesce(i.body, n.body), tags = coalesce(i.tags::jsonb, n.tags),
		version = i.version, updated_at = i.updated_at, updated_by = i.updated_by
	from i where n.id = i.id
	returning n.workspace_id, n.id, n.version, n.title, n.body, n.tags, n.updated_by, n.updated_at
)`
	updateContents      = changeContents + intoRevisions
	updateContentsCount = changeContents + `, c as (update note_usage set bytes = bytes + $8 where shard = $9)` + intoRevisions

	intoRevisions = `
insert into note_revisions (workspace_id, note_id, version, title, body, tags, author_id, created_at)
select workspace_id, id, version, title, body, tags, updated_by, updated_at from n`
)

// keepChanges queues changes of several notes of a workspace; more is what they add to it together. It is counted where the first is.
func keepChanges(last *pg.Last, workspace note.WorkspaceID, changes []edited, more note.Usage) {
	var (
		ids, by              []string
		titles, bodies, tags []*string
		versions             []int32
		at                   []time.Time
	)
	for _, c := range changes {
		ids = append(ids, string(c.sight.ID))
		titles, bodies = append(titles, c.fact.Title), append(bodies, c.fact.Body)
		tags = append(tags, c.tagsText())
		versions, at, by = append(versions, c.sight.Version), append(at, c.sight.UpdatedAt), append(by, string(c.sight.UpdatedBy))
	}
	args := []any{ids, titles, bodies, tags, versions, at, by}
	if more.Bytes == 0 {
		last.Queue(updateContents, args...)
	} else {
		last.Queue(updateContentsCount, append(args, more.Bytes, shardOf(changes[0].sight.ID))...)
	}
	for _, c := range changes {
		if c.fact.Tags != nil {
			keepTags(last, workspace, c.sight.ID, *c.fact.Tags)
		}
	}
}

// tagsText is the tags as jsonb, or nil if they stay.
func (e edited) tagsText() *string {
	if e.fact.Tags == nil {
		return nil
	}
	text := jsonText(*e.fact.Tags)
	return &text
}

func keepTags(last *pg.Last, workspace note.WorkspaceID, id note.ID, tags []string) {
	last.Queue(`delete from note_tags where note_id = $1`, id)
	if len(tags) > 0 {
		last.Queue(insertTags, tagArgs(workspace, id, tags)...)
	}
}

const insertTags = `
insert into note_tags (workspace_id, note_id, tag_key, tag)
select $1, $2, t.key, t.tag from unnest($3::text[], $4::text[]) as t (key, tag)`

func tagArgs(workspace note.WorkspaceID, id note.ID, tags []string) []any {
	keys := make([]string, len(tags))
	for i, t := range tags {
		keys[i] = note.TagKey(t)
	}
	return []any{workspace, id, keys, tags}
}

// The trash and the way back are versions, too: each has a revision.
const updateTrashed = `
with n as (
	update notes set trashed_at = $2, version = $3, updated_at = $4, updated_by = $5
	where id = $1
	returning workspace_id, id, version, title, body, tags, updated_by, updated_at
), c as (
	update note_usage set notes = notes + $6 where shard = $7
)` + intoRevisions

func keepTrash(last *pg.Last, sight *note.Sight, more note.Usage) {
	var at any
	if sight.Trashed() {
		at = sight.TrashedAt
	}
	last.Queue(updateTrashed, sight.ID, at, sight.Version, sight.UpdatedAt, sight.UpdatedBy, more.Notes, shardOf(sight.ID))
}

// Many notes are taken off one shard, whose it may be: who locks no second one cannot deadlock over it.
const deleteNotes = `
with n as (
	delete from notes where id = any($1::uuid[]) returning workspace_id, trashed_at is null as here, octet_length(body) as bytes
), a as (delete from note_access where note_id = any($1::uuid[])),
	r as (delete from note_revisions where note_id = any($1::uuid[])),
	t as (delete from note_tags where note_id = any($1::uuid[])),
	s as (delete from note_search where note_id = any($1::uuid[]))
insert into note_usage as c (workspace_id, shard, notes, bytes)
select workspace_id, $2, -count(*) filter (where here), -sum(bytes) from n group by workspace_id
on conflict (workspace_id, shard) do update set notes = c.notes + excluded.notes, bytes = c.bytes + excluded.bytes`

// HTTP dates know whole seconds: a changed role moves seen_at to another one, or the reader's validators would not tell.
const upsertAccess = `
with n as (update notes set access_version = access_version + 1 where id = $2 returning updated_at)
insert into note_access as a (workspace_id, note_id, person_id, role, granted_by, granted_at, seen_at)
select $1, $2, $3, $4, $5, $6, $6 from n
on conflict (workspace_id, note_id, person_id) do update set role = excluded.role, granted_by = excluded.granted_by,
	seen_at = greatest(excluded.seen_at, date_trunc('second', greatest(a.seen_at, (select updated_at from n))) + interval '1 second')`

const deleteAccess = `
with n as (update notes set access_version = access_version + 1 where id = $1)
delete from note_access where note_id = $1 and person_id = $2`

const updateMarks = `update note_access set pinned = $3, archived = $4, seen_at = $5 where note_id = $1 and person_id = $2`
