package postgres

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"noteworks.dev/services/note/internal/note"
	"noteworks.dev/services/note/internal/postgres/search"
)

const (
	// excerptLength is how much of a body a list shows, in characters.
	excerptLength = 200
	// excerptWithin is where a search looks for its hit to show it; beyond it the excerpt is the beginning.
	excerptWithin = 10_000
	// maxRanked bounds the hits that are ranked: of more, the newest are. Nobody pages through that many.
	maxRanked = 1_000
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
		statement, args := listed(actor, q, words)
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
	exists (select from note_access x where x.workspace_id = n.workspace_id and x.note_id = n.id and x.role < 4)`

// listed is the statement for q. By time it can be read from either end: the person's notes, or the workspace's newest.
func listed(actor note.Actor, q note.Query, words search.Query) (string, arguments) {
	var args arguments
	if words.Empty() {
		where := selected(&args, actor, q)
		if q.After != nil {
			where += " and (n.updated_at, n.id) < (" + args.add(q.After.At) + "::timestamptz, " + args.add(q.After.ID) + "::uuid)"
		}
		return `select ` + beforeBody + fmt.Sprintf("left(n.body, %d)", excerptLength) + afterBody + sharedWithOthers + `, 0::real` + notesOfOne + `
where ` + where + `
order by n.updated_at desc, n.id desc limit ` + args.add(q.Limit+1), args
	}
	return searched(&args, actor, q, words), args
}

// searched finds ids first (see the migration), keeps those the person sees and q selects, ranks them, and reads one page of them. The ids meet the
// person's notes as an array in one index: whichever of the two is short, it is short work.
func searched(args *arguments, actor note.Actor, q note.Query, words search.Query) string {
	terms, part := nullable(args, words.Terms)+"::tsquery", nullable(args, words.Part)
	beginning := args.add(words.Beginning())
	return `
with visible as materialized (
	select n.id, n.updated_at from note_access a
		join notes n on n.workspace_id = a.workspace_id and n.id = a.note_id
	where a.note_id = any((select note_search_hits(` + terms + `, ` + part + `))::uuid[]) and ` + selected(args, actor, q) + `
	order by n.updated_at desc, n.id desc limit ` + fmt.Sprint(maxRanked) + `
), ranked as materialized (
	select v.id, v.updated_at, (coalesce(ts_rank('{0.1, 0.2, 0.4, 1.0}', s.doc, ` + terms + `, 1), 0)
		+ case when s.title like ` + beginning + ` then 2 when s.title like ` + part + ` then 1 else 0 end)::real as rank
	from visible v join note_search s on s.note_id = v.id
), page as materialized (
	select id, rank from ranked` + afterPlace(args, q.After) + `
	order by rank desc, updated_at desc, id desc limit ` + args.add(q.Limit+1) + `
)
select ` + beforeBody + fmt.Sprintf("left(n.body, %d)", excerptWithin) + afterBody + sharedWithOthers + `, r.rank
from page r
	join notes n on n.id = r.id
	join note_access a on a.workspace_id = n.workspace_id and a.note_id = n.id and a.person_id = ` + args.add(actor.Person) + named + `
order by r.rank desc, n.updated_at desc, n.id desc`
}

func afterPlace(args *arguments, after *note.Place) string {
	if after == nil {
		return ""
	}
	return ` where (rank, updated_at, id) < (` + args.add(after.Rank) + `::real, ` + args.add(after.At) + `::timestamptz, ` + args.add(after.ID) + `::uuid)`
}

func nullable(args *arguments, text string) string {
	if text == "" {
		return args.add(nil) + "::text"
	}
	return args.add(text) + "::text"
}

// selected is the condition on n and a for the notes that the person sees and q wants.
func selected(args *arguments, actor note.Actor, q note.Query) string {
	all := []string{"a.person_id = " + args.add(actor.Person), inView(q.View)}
	if q.Tag != "" {
		all = append(all, "exists (select from note_tags t where t.workspace_id = n.workspace_id and t.note_id = n.id and t.tag_key = "+
			args.add(note.TagKey(q.Tag))+")")
	}
	return strings.Join(all, " and ")
}

func inView(v note.View) string {
	const here = "n.trashed_at is null"
	switch v {
	case note.ViewMine:
		return here + " and not a.archived and a.role = 4"
	case note.ViewShared:
		return here + " and not a.archived and a.role < 4"
	case note.ViewPinned:
		return here + " and a.pinned"
	case note.ViewArchived:
		return here + " and a.archived"
	case note.ViewTrash:
		return "n.trashed_at is not null and a.role = 4"
	case note.ViewAll:
	}
	return here + " and not a.archived"
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
