package postgres

import (
	"fmt"

	"noteworks.dev/services/note/internal/note"
	"noteworks.dev/services/note/internal/postgres/search"
)

const (
	// excerptWithin is where a search looks for its hit to show it; beyond it the excerpt is the beginning.
	excerptWithin = 10_000
	// maxRanked bounds the hits that are ranked of few notes: of more, the newest are.
	maxRanked = 1_000
	// maxFound bounds the hits that are ranked of many notes: the newest. Those whose titles begin with the words come to them.
	maxFound = 100
	// newestDocuments is how many of a workspace's newest notes are looked through for hits, if one in a hundred of the first sampledDocuments is one.
	newestDocuments, sampledDocuments = 10_000, 1_000
)

// searched is the statement for a page of hits. As with a list, which way is short shows only when it runs. Whoever sees few notes has them all looked
// through. For those who see more it depends on the words: of frequent ones the newest notes hold enough hits; the others are found by the index (see the
// migrations), which costs a page of the table for each hit, and the newest of them that the person sees are kept. An old note whose title they are is
// among them always. What was found is ranked, and one page of it is read.
func searched(args *arguments, actor note.Actor, q note.Query, words search.Query) string {
	terms, part := nullable(args, words.Terms)+"::tsquery", nullable(args, words.Part)
	beginning, person := args.add(words.Beginning()), args.add(actor.Person)
	theirs, stands := own(args, person, q), stands(q.View, person)
	hit := `(s.doc @@ ` + terms + ` or s.title like ` + part + `)`
	seen := `
		cross join lateral (select from note_access a where a.note_id = s.note_id and ` + theirs + ` offset 0) a
		cross join lateral (select n.updated_at from notes n where n.id = s.note_id and ` + stands + ` offset 0) n`
	const newestFirst = ` order by s.at desc, s.note_id desc limit `
	most := fmt.Sprint(maxFound)
	return `
with ` + see(theirs) + `, sample as materialized (
	select count(*) * 100 >= ` + fmt.Sprint(sampledDocuments) + ` as frequent
	from (select s.doc, s.title from note_search s` + newestFirst + fmt.Sprint(sampledDocuments) + `) s
	where not (select few from see) and ` + hit + `
), newest as materialized (
	select s.note_id, n.updated_at
	from (select * from note_search s` + newestFirst + fmt.Sprint(newestDocuments) + `) s` + seen + `
	where (select frequent from sample) and ` + hit + newestFirst + most + `
), looked as materialized (
	select (select count(*) from newest) = ` + most + ` as enough
), visible as materialized (
	select * from newest where (select enough from looked)
	union (
		select s.note_id, n.updated_at
		from (select * from note_search_found(` + terms + `, ` + part + `) s
			where not (select few from see) and not (select enough from looked) order by s.at desc, s.note_id desc offset 0) s` + seen +
		newestFirst + most + `
	)
	union (
		select s.note_id, n.updated_at
		from (select * from note_search_titled(` + args.add(words.Text) + `) s where not (select few from see) offset 0) s` + seen + `
	)
	union (
		select a.note_id, n.updated_at
		from note_access a
		cross join lateral (select from note_search s where s.note_id = a.note_id and ` + hit + ` offset 0) s
		cross join lateral (select n.updated_at from notes n where n.id = a.note_id and ` + stands + ` offset 0) n
		where (select few from see) and ` + theirs + `
		order by n.updated_at desc, a.note_id desc limit ` + fmt.Sprint(maxRanked) + `
	)
), ranked as materialized (
	select v.note_id as id, v.updated_at, (coalesce(ts_rank('{0.1, 0.2, 0.4, 1.0}', s.doc, ` + terms + `, 1), 0)
		+ case when s.title like ` + beginning + ` then 2 when s.title like ` + part + ` then 1 else 0 end)::real as rank
	from visible v cross join lateral (select * from note_search where note_id = v.note_id offset 0) s
), page as materialized (
	select id, rank from ranked` + afterPlace(args, q.After) + `
	order by rank desc, updated_at desc, id desc limit ` + args.add(q.Limit+1) + `
)` + pageAs(person, excerptWithin)
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
