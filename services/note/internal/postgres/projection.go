package postgres

import (
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

const upsertDocument = `
insert into note_search as s (workspace_id, note_id, version, title, doc) values ($1, $2, $3, $4, $5::tsvector)
on conflict (workspace_id, note_id) do update set version = excluded.version, title = excluded.title, doc = excluded.doc
	where s.version < excluded.version`

type indexed struct {
	version int32
	title   string
	body    string
	tags    jsonList
}

func readIndexed(s scanner) (n indexed, err error) {
	err = s.Scan(&n.version, &n.title, &n.body, &n.tags)
	return n, err
}

// Put makes the index say what the note says now, if it is older than version. It reads the row rather than the event, which carries only
// what changed: after a crowd of changes the first event brings the index up to date and the rest find nothing to do.
func (i Index) Put(id note.ID, version int32) error {
	n, found, err := row(i.tx, readIndexed, `
select n.version, n.title, n.body, n.tags from notes n
where n.id = $1 and not exists (select from note_search s where s.workspace_id = n.workspace_id and s.note_id = n.id and s.version >= $2)`, id, version)
	if err != nil || !found {
		return err // up to date, or deleted meanwhile
	}
	_, err = exec(i.tx, upsertDocument, i.workspace, id, n.version, search.Fold(n.title), search.Document(n.title, n.tags, n.body))
	return err
}

// Remove forgets the note.
func (i Index) Remove(id note.ID) error {
	_, err := exec(i.tx, `delete from note_search where note_id = $1`, id)
	return err
}
