package postgres

import (
	"maps"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/note/internal/note"
	"noteworks.dev/services/note/internal/postgres/search"
)

// Index is the search projection, in somebody else's transaction.
type Index struct {
	tx        *gorm.DB
	workspace note.WorkspaceID
}

// IndexIn works in tx, which is one of workspace.
func IndexIn(tx *gorm.DB, workspace note.WorkspaceID) Index { return Index{tx, workspace} }

const (
	outdatedDocuments = `
select n.id, n.version, n.updated_at, n.title, n.body, n.tags
from unnest($1::uuid[], $2::int[]) as w (id, version) join notes n on n.id = w.id
where not exists (select from note_search s where s.workspace_id = n.workspace_id and s.note_id = n.id and s.version >= w.version)`

	upsertDocuments = `
insert into note_search as s (workspace_id, note_id, version, at, title, doc)
select $1, d.id, d.version, d.at, d.title, d.doc::tsvector
from unnest($2::uuid[], $3::int[], $4::timestamptz[], $5::text[], $6::text[]) as d (id, version, at, title, doc)
on conflict (workspace_id, note_id) do update set version = excluded.version, at = excluded.at, title = excluded.title, doc = excluded.doc
	where s.version < excluded.version`
)

type indexed struct {
	id      note.ID
	version int32
	at      time.Time
	title   string
	body    string
	tags    jsonList
}

func readIndexed(s scanner) (n indexed, err error) {
	err = s.Scan(&n.id, &n.version, &n.at, &n.title, &n.body, &n.tags)
	return n, err
}

// putAtOnce bounds how many notes, of up to a mebibyte each, are in memory together.
const putAtOnce = 32

// Put makes the index say what the notes say now, where it is older than these versions. It reads the rows rather than the events, which carry
// only what changed: after a crowd of changes the first event brings the index up to date and the rest find nothing to do.
func (i Index) Put(versions map[note.ID]int32) error {
	ids := slices.Sorted(maps.Keys(versions)) // two replicas that lock in the same order do not deadlock
	for some := range slices.Chunk(ids, putAtOnce) {
		wanted := make([]int32, len(some))
		for n, id := range some {
			wanted[n] = versions[id]
		}
		if err := i.put(some, wanted); err != nil {
			return err
		}
	}
	return nil
}

func (i Index) put(ids []note.ID, wanted []int32) error {
	outdated, err := rows(i.tx, readIndexed, outdatedDocuments, texts(ids), wanted)
	if err != nil || len(outdated) == 0 {
		return err // up to date, or deleted meanwhile
	}
	slices.SortFunc(outdated, func(a, b indexed) int { return strings.Compare(string(a.id), string(b.id)) })
	var (
		which        = make([]string, len(outdated))
		have         = make([]int32, len(outdated))
		at           = make([]time.Time, len(outdated))
		titles, docs = make([]string, len(outdated)), make([]string, len(outdated))
	)
	for n, d := range outdated {
		which[n], have[n], at[n], titles[n], docs[n] = string(d.id), d.version, d.at, search.Fold(d.title), search.Document(d.title, d.tags, d.body)
	}
	_, err = exec(i.tx, upsertDocuments, i.workspace, which, have, at, titles, docs)
	return err
}

func texts(ids []note.ID) []string {
	all := make([]string, len(ids))
	for n, id := range ids {
		all[n] = string(id)
	}
	return all
}

// Remove forgets the note.
func (i Index) Remove(id note.ID) error {
	_, err := exec(i.tx, `delete from note_search where note_id = $1`, id)
	return err
}
