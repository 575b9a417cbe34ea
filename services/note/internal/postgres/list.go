package postgres

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"noteworks.dev/services/note/internal/note"
	"noteworks.dev/services/note/internal/postgres/search"
)

const (
	// excerptLength is how much of a body a list shows, in characters.
	excerptLength = 200
	// maxTagCounts bounds the list of tags.
	maxTagCounts = 1_000
)

// List is note.Store's.
func (s *Store) List(ctx context.Context, actor note.Actor, q note.Query) (note.Page[note.Item], error) {
	words := search.Parse(q.Words)
	if q.Words != "" && words.Empty() {
		return note.Page[note.Item]{}, nil // spaces only: nothing holds them
	}
	var found []hit
	err := s.in(ctx, actor, func(tx *gorm.DB) (err error) {
		var args arguments
		statement := ""
		if words.Empty() {
			statement = listed(&args, actor, q)
		} else {
			statement = searched(&args, actor, q, words)
		}
		found, err = rows(tx, readHit, statement, args...)
		return err
	})
	if err != nil {
		return note.Page[note.Item]{}, fmt.Errorf("list notes: %w", err)
	}
	return pageOf(found, q.Limit, func(h hit) (note.Item, note.Place) {
		if !words.Empty() {
			h.Excerpt = search.Excerpt(h.Excerpt, words, excerptLength)
		}
		return h.Item, note.Place{Rank: h.rank, At: h.UpdatedAt, ID: string(h.ID)}
	}), nil
}

// pageOf cuts what was read, one more than limit if there is more, into a page.
func pageOf[R, T any](found []R, limit int, item func(R) (T, note.Place)) note.Page[T] {
	p := note.Page[T]{Items: make([]T, 0, min(limit, len(found)))}
	for i, f := range found {
		if i == limit {
			return p
		}
		one, place := item(f)
		p.Items = append(p.Items, one)
		if i == limit-1 && len(found) > limit {
			p.Next = &place
		}
	}
	return p
}

type hit struct {
	note.Item
	rank float32
}

func readHit(s scanner) (h hit, err error) {
	h.Sight, err = readSightAnd(s, &h.Shared, &h.rank)
	h.Excerpt, h.Body = h.Body, ""
	return h, err
}

const sharedWithOthers = `,
	coalesce((select true from note_access x where x.workspace_id = n.workspace_id and x.note_id = n.id and x.role < 4 limit 1), false)`

// pageAs reads the notes of the CTE page (id, rank) for the person, one by one: to PostgreSQL page may be any number of rows, and it would read all of
// a workspace's notes beside them.
func pageAs(person string, excerpt int) string {
	return `
select ` + beforeBody + fmt.Sprintf("left(n.body, %d)", excerpt) + afterBody + sharedWithOthers + `, p.rank
from page p
	cross join lateral (select * from notes where id = p.id offset 0) n
	cross join lateral (select * from note_access where note_id = p.id and person_id = ` + person + ` offset 0) a` + named + `
order by p.rank desc, n.updated_at desc, n.id desc`
}

const (
	// fewNotes is how many notes somebody may see for all of them to be read.
	fewNotes = 2_000
	// newestNotes is how many of a workspace's newest notes are looked through for those that somebody sees who sees more; whoever sees few sees
	// most of them, as in a small workspace, or hardly any.
	newestNotes, newestForFew = 5_000, 300
)

// listed is the statement for a page by time. A list can be read from two ends, the person's notes and the workspace's newest ones, and which of them is
// short depends on how much the person sees: somebody's few notes of a million, or the newest of the million that are all theirs. PostgreSQL can
// not know that when it plans. So the statement finds out: the newest are looked through, and only where those do not fill the page, though there are older
// ones, all that the person sees are read and sorted.
func listed(args *arguments, actor note.Actor, q note.Query) string {
	person, limit := args.add(actor.Person), args.add(q.Limit+1)
	theirs := own(args, person, q)
	stands := stands(q.View, person)
	if q.After != nil {
		stands += " and (n.updated_at, n.id) < (" + args.add(q.After.At) + "::timestamptz, " + args.add(q.After.ID) + "::uuid)"
	}
	const byTime = ` order by n.updated_at desc, n.id desc`
	newest := fmt.Sprintf(`(select case when few then %d else %d end from see)`, newestForFew, newestNotes)
	return `
with ` + see(theirs) + `, newest as materialized (
	select n.id, n.updated_at
	from (select n.id, n.updated_at from notes n where ` + stands + byTime + ` limit ` + newest + `) n
	cross join lateral (select from note_access a where a.note_id = n.id and ` + theirs + ` offset 0) a` + byTime + ` limit ` + limit + `
), looked as materialized (
	select (select count(*) from newest) = ` + limit + ` or not exists (
		select from notes n where ` + stands + byTime + ` offset ` + newest + ` limit 1) as enough
), page as materialized (
	select id, 0::real as rank from newest where (select enough from looked)
	union all (
		select n.id, 0::real
		from note_access a
		cross join lateral (select n.id, n.updated_at from notes n where n.id = a.note_id and ` + stands + ` offset 0) n
		where not (select enough from looked) and ` + theirs + byTime + ` limit ` + limit + `
	)
)` + pageAs(person, excerptLength)
}

// see is the CTE that says whether few notes are theirs, which is what own says.
func see(theirs string) string {
	return fmt.Sprintf(`see as materialized (
	select count(*) <= %d as few from (select from note_access a where %s limit %d) a
)`, fewNotes, theirs, fewNotes+1)
}

// own is the condition on the person's rows of note_access, a, of the notes that q wants.
func own(args *arguments, person string, q note.Query) string {
	condition := "a.person_id = " + person + " and " + marks(q.View)
	if q.Tag != "" {
		condition += " and exists (select from note_tags t where t.workspace_id = a.workspace_id and t.note_id = a.note_id and t.tag_key = " +
			args.add(note.TagKey(q.Tag)) + ")"
	}
	return condition
}

func marks(v note.View) string {
	switch v {
	case note.ViewMine:
		return "not a.archived and a.role = 4"
	case note.ViewShared:
		return "not a.archived and a.role < 4"
	case note.ViewPinned:
		return "a.pinned"
	case note.ViewArchived:
		return "a.archived"
	case note.ViewTrash:
		return "a.role = 4"
	case note.ViewAll:
	}
	return "not a.archived"
}

// stands is the condition on a note, n, for the view: in the trash or not.
func stands(v note.View, person string) string {
	if v == note.ViewTrash {
		return "n.trashed_at is not null and n.owner_id = " + person
	}
	return "n.trashed_at is null"
}

// Tags is note.Store's.
func (s *Store) Tags(ctx context.Context, actor note.Actor) ([]note.TagCount, error) {
	var all []note.TagCount
	err := s.in(ctx, actor, func(tx *gorm.DB) (err error) {
		all, err = rows(tx, readTagCount, `
select min(t.tag), count(*)
from note_access a
	join notes n on n.workspace_id = a.workspace_id and n.id = a.note_id
	join note_tags t on t.workspace_id = a.workspace_id and t.note_id = a.note_id
where a.person_id = $1 and not a.archived and n.trashed_at is null
group by t.tag_key order by t.tag_key limit $2`, actor.Person, maxTagCounts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count tags: %w", err)
	}
	return all, nil
}

func readTagCount(s scanner) (t note.TagCount, err error) {
	err = s.Scan(&t.Tag, &t.Notes)
	return t, err
}
