package rest

import (
	"context"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/note/internal/note"
)

// ListNotes is GET /api/v1/notes.
func (a *API) ListNotes(ctx context.Context, r noterest.ListNotesRequestObject) (noterest.ListNotesResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	q, l, err := queryOf(actor, r.Params)
	if err != nil {
		return nil, err
	}
	page, err := a.Notes.List(ctx, actor, q)
	if err != nil {
		return nil, err
	}
	return noterest.ListNotes200JSONResponse{Items: each(page.Items, itemJSON), NextCursor: l.cursor(page.Next)}, nil
}

// CreateNote is POST /api/v1/notes.
func (a *API) CreateNote(ctx context.Context, r noterest.CreateNoteRequestObject) (noterest.CreateNoteResponseObject, error) {
	c, ctx, actor := incoming(ctx)
	key, err := keyOf(r.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	sight, replayed, err := a.Notes.Create(ctx, actor, draftOf(*r.Body), key)
	if err != nil {
		return nil, err
	}
	if replayed {
		c.Header("Idempotent-Replayed", "true")
	}
	tag, location := etag(sight.Version), notesPath+"/"+string(sight.ID)
	return noterest.CreateNote201JSONResponse{
		Body:    noteJSON(&sight),
		Headers: noterest.CreateNote201ResponseHeaders{ETag: &tag, Location: &location},
	}, nil
}

func draftOf(n noterest.NewNote) note.Draft {
	var d note.Draft
	if n.Title != nil {
		d.Title = *n.Title
	}
	if n.Body != nil {
		d.Body = *n.Body
	}
	if n.Tags != nil {
		d.Tags = *n.Tags
	}
	return d
}

// GetNote is GET /api/v1/notes/{id}.
func (a *API) GetNote(ctx context.Context, r noterest.GetNoteRequestObject) (noterest.GetNoteResponseObject, error) {
	c, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	sight, err := a.Notes.Read(ctx, actor, id, isTrue(r.Params.Trashed))
	if err != nil {
		return nil, err
	}
	tag, modified := etag(sight.Version), sight.ModifiedAt().UTC().Format(http.TimeFormat)
	if unchanged(r.Params, sight.Version, sight.ModifiedAt()) {
		c.Header("ETag", tag)
		c.Header("Last-Modified", modified)
		return noterest.GetNote304Response{}, nil
	}
	return noterest.GetNote200JSONResponse{
		Body:    noteJSON(&sight),
		Headers: noterest.GetNote200ResponseHeaders{ETag: &tag, LastModified: &modified},
	}, nil
}

// UpdateNote is PATCH /api/v1/notes/{id}.
func (a *API) UpdateNote(ctx context.Context, r noterest.UpdateNoteRequestObject) (noterest.UpdateNoteResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	version, err := requiredBase(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	sight, err := a.Notes.Change(ctx, actor, id, version, note.Edit{Title: r.Body.Title, Body: r.Body.Body, Tags: r.Body.Tags})
	if err != nil {
		return nil, err
	}
	tag := etag(sight.Version)
	return noterest.UpdateNote200JSONResponse{Body: noteJSON(&sight), Headers: noterest.UpdateNote200ResponseHeaders{ETag: &tag}}, nil
}

// DeleteNote is DELETE /api/v1/notes/{id}.
func (a *API) DeleteNote(ctx context.Context, r noterest.DeleteNoteRequestObject) (noterest.DeleteNoteResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	version, err := base(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	if isTrue(r.Params.Permanently) {
		err = a.Notes.Destroy(ctx, actor, id, version)
	} else {
		err = a.Notes.Trash(ctx, actor, id, version)
	}
	return noterest.DeleteNote204Response{}, err
}

// RestoreNote is POST /api/v1/notes/{id}/restore.
func (a *API) RestoreNote(ctx context.Context, r noterest.RestoreNoteRequestObject) (noterest.RestoreNoteResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	sight, err := a.Notes.Restore(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	tag := etag(sight.Version)
	return noterest.RestoreNote200JSONResponse{Body: noteJSON(&sight), Headers: noterest.RestoreNote200ResponseHeaders{ETag: &tag}}, nil
}

// PinNote is PUT /api/v1/notes/{id}/pin.
func (a *API) PinNote(ctx context.Context, r noterest.PinNoteRequestObject) (noterest.PinNoteResponseObject, error) {
	return noterest.PinNote204Response{}, a.mark(ctx, r.Id, a.Notes.Pin, true)
}

// UnpinNote is DELETE /api/v1/notes/{id}/pin.
func (a *API) UnpinNote(ctx context.Context, r noterest.UnpinNoteRequestObject) (noterest.UnpinNoteResponseObject, error) {
	return noterest.UnpinNote204Response{}, a.mark(ctx, r.Id, a.Notes.Pin, false)
}

// ArchiveNote is PUT /api/v1/notes/{id}/archive.
func (a *API) ArchiveNote(ctx context.Context, r noterest.ArchiveNoteRequestObject) (noterest.ArchiveNoteResponseObject, error) {
	return noterest.ArchiveNote204Response{}, a.mark(ctx, r.Id, a.Notes.Archive, true)
}

// UnarchiveNote is DELETE /api/v1/notes/{id}/archive.
func (a *API) UnarchiveNote(ctx context.Context, r noterest.UnarchiveNoteRequestObject) (noterest.UnarchiveNoteResponseObject, error) {
	return noterest.UnarchiveNote204Response{}, a.mark(ctx, r.Id, a.Notes.Archive, false)
}

func (a *API) mark(ctx context.Context, id string, set func(context.Context, note.Actor, note.ID, bool) error, on bool) error {
	_, ctx, actor := incoming(ctx)
	n, err := noteID(id)
	if err != nil {
		return err
	}
	return set(ctx, actor, n, on)
}

// ListTags is GET /api/v1/tags.
func (a *API) ListTags(ctx context.Context, _ noterest.ListTagsRequestObject) (noterest.ListTagsResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	tags, err := a.Notes.Tags(ctx, actor)
	if err != nil {
		return nil, err
	}
	answer := noterest.ListTags200JSONResponse{}
	answer.Items = each(tags, func(t note.TagCount) (item struct {
		Notes int    `json:"notes"`
		Tag   string `json:"tag"`
	},
	) {
		item.Notes, item.Tag = t.Notes, t.Tag
		return item
	})
	return answer, nil
}

func isTrue(b *bool) bool { return b != nil && *b }

// checkVersion keeps what no note can have away from the database. A version has one spelling, like every id in a path.
func checkVersion(c *gin.Context, version int32) error {
	if version < 1 || c.Param("version") != strconv.Itoa(int(version)) {
		return errs.Invalid("invalid-version", "A version is a whole number from 1.").WithField("version")
	}
	return nil
}
