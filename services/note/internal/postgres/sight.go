package postgres

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/note/internal/note"
)

// keepKeys is how long an idempotency key answers with its note.
const keepKeys = 24 * time.Hour

const claimKey = `
insert into idempotency_keys (workspace_id, person_id, key, request_hash, note_id, created_at) values ($1, $2, $3, $4, $5, $6)
on conflict (workspace_id, person_id, key) do update
	set request_hash = excluded.request_hash, note_id = excluded.note_id, created_at = excluded.created_at
	where idempotency_keys.created_at < $7`

const claimedBy = `select request_hash, note_id from idempotency_keys where person_id = $1 and key = $2`

// The parts of a sight, in the order that readSight expects; the fourth column is the body or an excerpt.
const (
	beforeBody = `n.id, n.owner_id, n.title, `
	afterBody  = `, n.tags, n.version, n.created_at, n.updated_at, n.updated_by, n.trashed_at,
	a.person_id, a.role, a.pinned, a.archived, a.seen_at, coalesce(o.name, ''), coalesce(u.name, '')`
	named = `
	left join people o on o.workspace_id = n.workspace_id and o.id = n.owner_id
	left join people u on u.workspace_id = n.workspace_id and u.id = n.updated_by`
	notesOfOne = `
from notes n
	join note_access a on a.workspace_id = n.workspace_id and a.note_id = n.id` + named
)

const sightOf = `select ` + beforeBody + `n.body` + afterBody + notesOfOne + `
where n.id = $1 and a.person_id = $2`

// lockSight also tells everyone's roles, and whether they are of the same moment as the row: the row is read again after waiting for its
// lock, while all else is as it was when the statement began. And how many bytes more the workspace takes: what others are adding at this moment
// is not in it, so that together they may come out above the limit by what is under way. One more lock for each change would be too much for that.
const (
	lockSight = lockedSight + notesOfOne + withLimits + `
where n.id = $1 and a.person_id = $2
for update of n`

	// lockMarks is lockSight with the viewer's own marks locked, too, and so of the same moment: they are not in the note's row.
	lockMarks = lockSight + `, a`

	// lockSights is lockSight for several notes at once, each with its viewer, its marks and its place in the two arrays, without those that somebody else has locked.
	lockSights = lockedSight + `, n.xmin, a.xmin, pg_current_xact_id()::xid, i.at` + notesOfOne + withLimits + `
	join unnest($1::uuid[], $2::uuid[]) with ordinality as i (id, person, at) on n.id = i.id and a.person_id = i.person
for update of n skip locked`

	withLimits = `
	left join workspaces w on w.workspace_id = n.workspace_id`

	lockedSight = `select ` + beforeBody + `n.body` + afterBody + `,
	coalesce((select v.name from people v where v.workspace_id = n.workspace_id and v.id = a.person_id), ''),
	(select string_agg(x.person_id || ' ' || x.role, ',') from note_access x where x.workspace_id = n.workspace_id and x.note_id = n.id),
	n.access_version = (select m.access_version from notes m where m.workspace_id = n.workspace_id and m.id = n.id),
	case when w.limit_bytes > 0 then
		w.limit_bytes - (select coalesce(sum(c.bytes), 0)::bigint from note_usage c where c.workspace_id = w.workspace_id)
	end`
)

func readSight(s scanner) (note.Sight, error) { return readSightAnd(s) }

// readSightAnd reads a sight and then more columns.
func readSightAnd(s scanner, more ...any) (note.Sight, error) {
	var (
		sight   note.Sight
		tags    jsonList
		trashed sql.NullTime
	)
	dest := []any{
		&sight.ID, &sight.Owner, &sight.Title, &sight.Body, &tags, &sight.Version, &sight.CreatedAt, &sight.UpdatedAt, &sight.UpdatedBy, &trashed,
		&sight.Viewer, &sight.Role, &sight.Marks.Pinned, &sight.Marks.Archived, &sight.SeenAt, &sight.OwnerName, &sight.UpdatedByName,
	}
	if err := s.Scan(append(dest, more...)...); err != nil {
		return note.Sight{}, err
	}
	sight.Tags, sight.TrashedAt = tags, trashed.Time
	return sight, nil
}

// locked is a sight whose note nobody else changes until the transaction ends.
type locked struct {
	note.Sight
	roles map[note.PersonID]note.Role
	// whole says that the roles are not older than the note.
	whole bool
	// was is what the note was counted as before the change, and room how much more there is place for. Of notes only a restore knows it.
	was  note.Usage
	room note.Room
}

func readLocked(s scanner) (locked, error) { return readLockedAnd(s) }

// readLockedAnd reads a locked sight and then more columns.
func readLockedAnd(s scanner, more ...any) (l locked, err error) {
	var audience, viewer string
	l.Sight, err = readSightAnd(s, append([]any{&viewer, &audience, &l.whole, &l.room.Bytes}, more...)...)
	if err != nil {
		return locked{}, err
	}
	l.was = l.Usage()
	l.ViewerName = viewer
	l.roles = map[note.PersonID]note.Role{}
	for entry := range strings.SplitSeq(audience, ",") {
		person, role, _ := strings.Cut(entry, " ")
		number, err := strconv.ParseUint(role, 10, 8)
		if err != nil {
			return locked{}, fmt.Errorf("role of %s: %w", person, err)
		}
		l.roles[note.PersonID(person)] = note.Role(number)
		l.Audience = append(l.Audience, note.PersonID(person))
	}
	return l, nil
}

// lock reads the note for a change. Whoever is not allowed to see it finds a Sight without a role, as note.Sight.May expects.
func lock(tx *gorm.DB, actor note.Actor, id note.ID) (locked, error) {
	got, found, err := row(tx, readLocked, lockSight, id, actor.Person)
	if err == nil && found && !got.whole { // somebody changed who sees it while we waited; nobody can any more
		got, found, err = row(tx, readLocked, lockSight, id, actor.Person)
	}
	if err != nil {
		return locked{}, fmt.Errorf("lock note %s: %w", id, err)
	}
	if !found {
		return locked{}, nil
	}
	return got, nil
}
