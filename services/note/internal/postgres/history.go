package postgres

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/note/internal/note"
)

const revisionColumns = `
select r.version, r.title, %s, r.tags, r.author_id, coalesce(p.name, ''), r.created_at
from note_revisions r left join people p on p.workspace_id = r.workspace_id and p.id = r.author_id
where r.note_id = $1 and r.version `

// Revisions is note.Store's.
func (s *Store) Revisions(ctx context.Context, actor note.Actor, id note.ID, w note.Window) (note.Page[note.Revision], error) {
	var found []note.Revision
	err := s.in(ctx, actor, func(tx *gorm.DB) error {
		sight, err := seen(tx, actor, id, note.ToRead)
		if err != nil {
			return err
		}
		before := sight.Version + 1
		if w.After != nil {
			before = w.After.Version
		}
		found, err = rows(tx, readRevision, fmt.Sprintf(revisionColumns, "''")+`< $2 order by r.version desc limit $3`, id, before, w.Limit+1)
		return err
	})
	if err != nil {
		return note.Page[note.Revision]{}, fmt.Errorf("list revisions: %w", err)
	}
	return pageOf(found, w.Limit, func(r note.Revision) (note.Revision, note.Place) { return r, note.Place{Version: r.Version} }), nil
}

// Revision is note.Store's.
func (s *Store) Revision(ctx context.Context, actor note.Actor, id note.ID, version int32) (note.Revision, error) {
	var r note.Revision
	err := s.in(ctx, actor, func(tx *gorm.DB) error {
		if _, err := seen(tx, actor, id, note.ToRead); err != nil {
			return err
		}
		var (
			found bool
			err   error
		)
		r, found, err = row(tx, readRevision, fmt.Sprintf(revisionColumns, "r.body")+`= $2`, id, version)
		if err == nil && !found {
			err = errs.NotFound("revision-not-found", "The note has no such version, or it is not kept any more.").WithField("version")
		}
		return err
	})
	return r, err
}

func readRevision(s scanner) (r note.Revision, err error) {
	var tags jsonList
	err = s.Scan(&r.Version, &r.Title, &r.Body, &tags, &r.Author, &r.AuthorName, &r.CreatedAt)
	r.Tags = tags
	return r, err
}
