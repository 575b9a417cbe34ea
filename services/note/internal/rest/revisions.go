package rest

import (
	"context"

	"noteworks.dev/services/api/gen/rest/noterest"
)

// ListRevisions is GET /api/v1/notes/{id}/revisions.
func (a *API) ListRevisions(ctx context.Context, r noterest.ListRevisionsRequestObject) (noterest.ListRevisionsResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	l := list{"revisions", actor, []string{r.Id}}
	window, err := windowOf(r.Params.Cursor, r.Params.Limit, l)
	if err != nil {
		return nil, err
	}
	page, err := a.Notes.Revisions(ctx, actor, id, window)
	if err != nil {
		return nil, err
	}
	return noterest.ListRevisions200JSONResponse{Items: each(page.Items, revisionItemJSON), NextCursor: l.cursor(page.Next)}, nil
}

// GetRevision is GET /api/v1/notes/{id}/revisions/{version}.
func (a *API) GetRevision(ctx context.Context, r noterest.GetRevisionRequestObject) (noterest.GetRevisionResponseObject, error) {
	c, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(c, r.Version); err != nil {
		return nil, err
	}
	revision, err := a.Notes.Revision(ctx, actor, id, r.Version)
	if err != nil {
		return nil, err
	}
	return noterest.GetRevision200JSONResponse(revisionJSON(revision)), nil
}

// RestoreRevision is POST /api/v1/notes/{id}/revisions/{version}/restore.
func (a *API) RestoreRevision(ctx context.Context, r noterest.RestoreRevisionRequestObject) (noterest.RestoreRevisionResponseObject, error) {
	c, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(c, r.Version); err != nil {
		return nil, err
	}
	version, err := requiredBase(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	sight, err := a.Notes.RestoreRevision(ctx, actor, id, version, r.Version)
	if err != nil {
		return nil, err
	}
	tag := etag(sight.Version)
	return noterest.RestoreRevision200JSONResponse{
		Body: noteJSON(&sight), Headers: noterest.RestoreRevision200ResponseHeaders{ETag: &tag},
	}, nil
}
