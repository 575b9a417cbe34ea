package rest

import (
	"context"

	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/note/internal/note"
)

// ListShares is GET /api/v1/notes/{id}/shares.
func (a *API) ListShares(ctx context.Context, r noterest.ListSharesRequestObject) (noterest.ListSharesResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, err := noteID(r.Id)
	if err != nil {
		return nil, err
	}
	l := list{"shares", actor, []string{r.Id}}
	window, err := windowOf(r.Params.Cursor, r.Params.Limit, l)
	if err != nil {
		return nil, err
	}
	page, err := a.Notes.Shares(ctx, actor, id, window)
	if err != nil {
		return nil, err
	}
	return noterest.ListShares200JSONResponse{Items: each(page.Items, shareJSON), NextCursor: l.cursor(page.Next)}, nil
}

// ShareNote is PUT /api/v1/notes/{id}/shares/{userId}.
func (a *API) ShareNote(ctx context.Context, r noterest.ShareNoteRequestObject) (noterest.ShareNoteResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, person, err := noteAndPerson(r.Id, r.UserId)
	if err != nil {
		return nil, err
	}
	role, err := note.ShareRole(string(r.Body.Role))
	if err != nil {
		return nil, err
	}
	given, err := a.Notes.Share(ctx, actor, id, person, role)
	if err != nil {
		return nil, err
	}
	return noterest.ShareNote200JSONResponse(shareJSON(given)), nil
}

// UnshareNote is DELETE /api/v1/notes/{id}/shares/{userId}.
func (a *API) UnshareNote(ctx context.Context, r noterest.UnshareNoteRequestObject) (noterest.UnshareNoteResponseObject, error) {
	_, ctx, actor := incoming(ctx)
	id, person, err := noteAndPerson(r.Id, r.UserId)
	if err != nil {
		return nil, err
	}
	return noterest.UnshareNote204Response{}, a.Notes.Unshare(ctx, actor, id, person)
}

func noteAndPerson(id, userID string) (note.ID, note.PersonID, error) {
	n, err := noteID(id)
	if err != nil {
		return "", "", err
	}
	p, err := personID(userID)
	return n, p, err
}
