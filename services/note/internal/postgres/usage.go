package postgres

import (
	"context"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/note/internal/note"
)

// turnClass is the first of the two numbers of the advisory lock by which those who add a note to a workspace of limited size take turns. The
// outbox's begin in the same way. Whoever takes a turn has locked the note, if there is one, before, and counts and takes a lane after it.
const turnClass = 0x6e77_03 // "nw"

// roomInTurn is about the workspace, and waits for the turn where it limits notes.
const roomInTurn = `select r.room[1], r.room[2] from (select note_room($1) as room) r`

func readRoom(s scanner) (r note.Room, err error) {
	err = s.Scan(&r.Notes, &r.Bytes)
	return r, err
}

// shardOf is where a note is counted; edits that go together are, where the first of them is. Who counts is about to take the lane of the same number, and meets
// few there that would not have been met anyway.
func shardOf(id note.ID) int16 { return int16(event.LaneOf(string(id))) }

// Usage is what a workspace holds, as counted.
func (s *Store) Usage(ctx context.Context, workspace note.WorkspaceID) (note.Usage, error) {
	var u note.Usage
	err := s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) (err error) {
		u, _, err = row(tx, readUsage, `select coalesce(sum(notes), 0), coalesce(sum(bytes), 0)::bigint from note_usage`)
		return err
	})
	return u, err
}

func readUsage(s scanner) (u note.Usage, err error) {
	err = s.Scan(&u.Notes, &u.Bytes)
	return u, err
}

// miscounted is how much less was counted than there is. One statement sees both as of one moment, and whoever counts what they change leaves the
// difference as it is: it holds for as long as nobody puts it right, and nobody has to be stopped for it.
// The length of a body is read without the body.
const miscounted = `
select held.notes - counted.notes, held.bytes - counted.bytes from
	(select count(*) filter (where trashed_at is null) as notes, coalesce(sum(octet_length(body)), 0)::bigint as bytes from notes) held,
	(select coalesce(sum(notes), 0) as notes, coalesce(sum(bytes), 0)::bigint as bytes from note_usage) counted`

// Recount puts the count of a workspace right and answers by how much it was wrong. Everyone who changes notes counts, but a version of the service that
// does not know how to may still be serving while this one comes up.
func (s *Store) Recount(ctx context.Context, workspace note.WorkspaceID) (note.Usage, error) {
	var off note.Usage
	err := s.db.InWorkspace(ctx, string(workspace), func(tx *gorm.DB) (err error) {
		off, _, err = row(tx, readUsage, miscounted)
		if err != nil || off == (note.Usage{}) {
			return err
		}
		off, err = recount(tx, workspace)
		return err
	})
	return off, err
}

// recount adds what is missing, in turn: of two replicas the second finds nothing missing any more.
func recount(tx *gorm.DB, workspace note.WorkspaceID) (note.Usage, error) {
	if _, err := exec(tx, `
insert into note_usage (workspace_id, shard, notes, bytes) select $1, s, 0, 0 from generate_series(0, $2::int) s
on conflict do nothing`, workspace, event.Lanes-1); err != nil {
		return note.Usage{}, err
	}
	if _, err := exec(tx, `select from note_usage where shard = 0 for update`); err != nil {
		return note.Usage{}, err
	}
	off, _, err := row(tx, readUsage, miscounted)
	if err != nil {
		return note.Usage{}, err
	}
	_, err = exec(tx, `update note_usage set notes = notes + $1, bytes = bytes + $2 where shard = 0`, off.Notes, off.Bytes)
	return off, err
}
