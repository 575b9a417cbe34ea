package rest

import (
	"time"

	"noteworks.dev/services/api/gen/rest/commonrest"
	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/note/internal/note"
)

func noteJSON(s *note.Sight) noterest.Note {
	return noterest.Note{
		Id: string(s.ID), Title: s.Title, Body: s.Body, Tags: notNull(s.Tags), Version: s.Version,
		Owner: who(s.Owner, s.OwnerName), Role: noterest.Role(s.Role.String()),
		Pinned: s.Marks.Pinned, Archived: s.Marks.Archived,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, UpdatedBy: who(s.UpdatedBy, s.UpdatedByName), TrashedAt: when(s.TrashedAt),
	}
}

func itemJSON(i note.Item) noterest.NoteItem {
	return noterest.NoteItem{
		Id: string(i.ID), Title: i.Title, Excerpt: i.Excerpt, Tags: notNull(i.Tags), Version: i.Version,
		Owner: who(i.Owner, i.OwnerName), Role: noterest.Role(i.Role.String()),
		Pinned: i.Marks.Pinned, Archived: i.Marks.Archived, Shared: i.Shared,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt, UpdatedBy: who(i.UpdatedBy, i.UpdatedByName), TrashedAt: when(i.TrashedAt),
	}
}

func shareJSON(g note.Given) noterest.Share {
	return noterest.Share{
		UserId: string(g.To.ID), Name: g.To.Name, Role: noterest.ShareRole(g.As.String()), SharedBy: who(g.By, g.ByName), CreatedAt: g.At,
	}
}

func revisionItemJSON(r note.Revision) noterest.RevisionItem {
	return noterest.RevisionItem{Version: r.Version, Title: r.Title, Author: who(r.Author, r.AuthorName), CreatedAt: r.CreatedAt}
}

func revisionJSON(r note.Revision) noterest.Revision {
	return noterest.Revision{
		Version: r.Version, Title: r.Title, Body: r.Body, Tags: notNull(r.Tags), Author: who(r.Author, r.AuthorName), CreatedAt: r.CreatedAt,
	}
}

func who(id note.PersonID, name string) commonrest.Who {
	return commonrest.Who{Id: string(id), Name: name}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// notNull is never null in JSON.
func notNull(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func each[F, T any](from []F, to func(F) T) []T {
	all := make([]T, len(from))
	for i, f := range from {
		all[i] = to(f)
	}
	return all
}
