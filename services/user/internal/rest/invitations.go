package rest

import (
	"context"

	"github.com/google/uuid"

	"noteworks.dev/services/api/gen/rest/userrest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

// ListInvitations answers the open invitations, the newest first.
func (a *API) ListInvitations(ctx context.Context, request userrest.ListInvitationsRequestObject) (userrest.ListInvitationsResponseObject, error) {
	_, ctx = incoming(ctx)
	me := actor(ctx)
	limit, err := limitOf(request.Params.Limit)
	if err != nil {
		return nil, err
	}
	bound := invitationsOf(me.Workspace)
	var after person.Place
	if request.Params.Cursor != nil {
		if after, err = bound.parse(*request.Params.Cursor); err != nil {
			return nil, err
		}
	}
	page, err := a.Invitations.List(ctx, me, admission.ID(after.ID), limit)
	if err != nil {
		return nil, err
	}
	answer := userrest.ListInvitations200JSONResponse{Items: make([]userrest.Invitation, 0, len(page.Invitations))}
	for _, i := range page.Invitations {
		answer.Items = append(answer.Items, userrest.Invitation{Id: string(i.ID), Email: string(i.Email), CreatedAt: i.CreatedAt.UTC(), ExpiresAt: i.ExpiresAt.UTC()})
	}
	if page.Next != "" {
		next := bound.cursor(person.Place{ID: person.ID(page.Next)})
		answer.NextCursor = &next
	}
	return answer, nil
}

// invitationsOf binds cursors to a workspace's invitations, which stand in the order of their ids alone.
func invitationsOf(in tenant.ID) binding { return binding{workspace: in, list: "invitations"} }

// CreateInvitation invites somebody. The answer is the only place where the code ever stands.
func (a *API) CreateInvitation(ctx context.Context, request userrest.CreateInvitationRequestObject) (userrest.CreateInvitationResponseObject, error) {
	c, ctx := incoming(ctx)
	made, code, err := a.Invitations.Invite(ctx, actor(ctx), request.Body.Email)
	if err != nil {
		return nil, err
	}
	a.Telemetry.Log.InfoContext(ctx, "invitation made", telemetry.WorkspaceID(made.Workspace))
	c.Header("Cache-Control", "no-store")
	return userrest.CreateInvitation201JSONResponse{
		Id: string(made.ID), Email: string(made.Email), CreatedAt: made.CreatedAt.UTC(), ExpiresAt: made.ExpiresAt.UTC(), Code: string(code),
	}, nil
}

// DeleteInvitation takes an invitation back; an id in any but its one spelling is none's.
func (a *API) DeleteInvitation(ctx context.Context, request userrest.DeleteInvitationRequestObject) (userrest.DeleteInvitationResponseObject, error) {
	_, ctx = incoming(ctx)
	me := actor(ctx)
	if parsed, err := uuid.Parse(request.InvitationId); err != nil || parsed.String() != request.InvitationId {
		return nil, admission.ErrNotFound
	}
	if err := a.Invitations.TakeBack(ctx, me, admission.ID(request.InvitationId)); err != nil {
		return nil, err
	}
	a.Telemetry.Log.InfoContext(ctx, "invitation taken back", telemetry.WorkspaceID(me.Workspace))
	return userrest.DeleteInvitation204Response{}, nil
}
