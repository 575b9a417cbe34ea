package postgres

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"noteworks.dev/services/note/internal/note"
)

const shareColumns = `
select a.person_id, coalesce(p.name, ''), coalesce(p.active, true), a.role, a.granted_by, coalesce(g.name, ''), a.granted_at
from note_access a
	left join people p on p.workspace_id = a.workspace_id and p.id = a.person_id
	left join people g on g.workspace_id = a.workspace_id and g.id = a.granted_by
where a.note_id = $1 and a.role < 4`

const shareOfOne = shareColumns + ` and a.person_id = $2`

// Shares is note.Store's.
func (s *Store) Shares(ctx context.Context, actor note.Actor, id note.ID, w note.Window) (note.Page[note.Given], error) {
	var found []note.Given
	err := s.in(ctx, actor, func(tx *gorm.DB) error {
		if _, err := seen(tx, actor, id, note.ToRead); err != nil {
			return err
		}
		args := arguments{id}
		statement := shareColumns
		if w.After != nil {
			statement += ` and (a.granted_at, a.person_id) > (` + args.add(w.After.At) + `::timestamptz, ` + args.add(w.After.ID) + `::uuid)`
		}
		var err error
		found, err = rows(tx, readGiven, statement+` order by a.granted_at, a.person_id limit `+args.add(w.Limit+1), args...)
		return err
	})
	if err != nil {
		return note.Page[note.Given]{}, fmt.Errorf("list shares: %w", err)
	}
	return pageOf(found, w.Limit, func(g note.Given) (note.Given, note.Place) {
		return g, note.Place{At: g.At, ID: string(g.To.ID)}
	}), nil
}

func readGiven(s scanner) (g note.Given, err error) {
	err = s.Scan(&g.To.ID, &g.To.Name, &g.To.Active, &g.As, &g.By, &g.ByName, &g.At)
	return g, err
}
