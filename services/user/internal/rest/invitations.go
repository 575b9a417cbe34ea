package rest

import (
	"context"

	"noteworks.dev/services/api/gen/rest/userrest"
	"noteworks.dev/services/internal/errs"
)

func errNoInvitations() error { return errs.NotFound("not-found", "There are no invitations here.") }

// ListInvitations answers the invitations that are open.
func (a *API) ListInvitations(context.Context, userrest.ListInvitationsRequestObject) (userrest.ListInvitationsResponseObject, error) {
	return nil, errNoInvitations()
}

// CreateInvitation invites somebody.
func (a *API) CreateInvitation(context.Context, userrest.CreateInvitationRequestObject) (userrest.CreateInvitationResponseObject, error) {
	return nil, errNoInvitations()
}

// DeleteInvitation takes an invitation back.
func (a *API) DeleteInvitation(context.Context, userrest.DeleteInvitationRequestObject) (userrest.DeleteInvitationResponseObject, error) {
	return nil, errNoInvitations()
}
