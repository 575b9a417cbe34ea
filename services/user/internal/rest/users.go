package rest

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"noteworks.dev/services/api/gen/rest/userrest"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/person"
)

const (
	defaultLimit = 50
	maxLimit     = 100
	maxText      = 100
)

// GetMe is who is signed in.
func (a *API) GetMe(ctx context.Context, _ userrest.GetMeRequestObject) (userrest.GetMeResponseObject, error) {
	_, ctx = incoming(ctx)
	return userrest.GetMe200JSONResponse(userOf(actor(ctx).Person)), nil
}

// UpdateMe changes who is signed in.
func (a *API) UpdateMe(ctx context.Context, request userrest.UpdateMeRequestObject) (userrest.UpdateMeResponseObject, error) {
	_, ctx = incoming(ctx)
	me := actor(ctx)
	if request.Body.NewPassword != nil {
		if err := a.admitAccount(me.Workspace, string(me.ID)); err != nil {
			return nil, err
		}
	}
	changed, err := a.People.ChangeProfile(ctx, me, person.Change{
		Name: request.Body.Name, CurrentPassword: request.Body.CurrentPassword, NewPassword: request.Body.NewPassword,
	})
	if err != nil {
		return nil, err
	}
	if request.Body.NewPassword != nil {
		a.Telemetry.Log.InfoContext(ctx, "password changed", about(changed)...)
	}
	return userrest.UpdateMe200JSONResponse(userOf(changed)), nil
}

// ListUsers finds people of the workspace.
func (a *API) ListUsers(ctx context.Context, request userrest.ListUsersRequestObject) (userrest.ListUsersResponseObject, error) {
	_, ctx = incoming(ctx)
	me := actor(ctx)
	q, err := queryOf(request.Params)
	if err != nil {
		return nil, err
	}
	bound := binding{workspace: me.Workspace, email: q.Email, text: q.Text}
	if request.Params.Cursor != nil {
		if q.After, err = bound.parse(*request.Params.Cursor); err != nil {
			return nil, err
		}
	}
	page, err := a.People.List(ctx, me, q)
	if err != nil {
		return nil, err
	}
	answer := userrest.ListUsers200JSONResponse{Items: make([]userrest.User, 0, len(page.People))}
	for _, p := range page.People {
		answer.Items = append(answer.Items, userOf(p))
	}
	if page.Next != nil {
		next := bound.cursor(*page.Next)
		answer.NextCursor = &next
	}
	return answer, nil
}

func queryOf(p userrest.ListUsersParams) (person.Query, error) {
	limit, err := limitOf(p.Limit)
	if err != nil {
		return person.Query{}, err
	}
	q := person.Query{Limit: limit}
	if p.Q != nil {
		q.Text = strings.TrimSpace(*p.Q)
	}
	if utf8.RuneCountInString(q.Text) > maxText {
		return q, errs.Invalid("invalid-q", "q has at most %d characters.", maxText).WithField("q")
	}
	if p.Email == nil {
		return q, nil
	}
	q.Email, err = person.ParseEmail(*p.Email)
	return q, err
}

// limitOf is how many items a page should have.
func limitOf(given *int) (int, error) {
	if given == nil {
		return defaultLimit, nil
	}
	if *given < 1 || *given > maxLimit {
		return 0, errs.Invalid("invalid-limit", "limit should be from 1 to %d.", maxLimit).WithField("limit")
	}
	return *given, nil
}

// DeactivateUser keeps a person out.
func (a *API) DeactivateUser(ctx context.Context, request userrest.DeactivateUserRequestObject) (userrest.DeactivateUserResponseObject, error) {
	_, ctx = incoming(ctx)
	if err := a.administer(ctx, request.UserId, "person deactivated", a.People.Deactivate); err != nil {
		return nil, err
	}
	return userrest.DeactivateUser204Response{}, nil
}

// ReactivateUser lets a person in again.
func (a *API) ReactivateUser(ctx context.Context, request userrest.ReactivateUserRequestObject) (userrest.ReactivateUserResponseObject, error) {
	_, ctx = incoming(ctx)
	if err := a.administer(ctx, request.UserId, "person reactivated", a.People.Reactivate); err != nil {
		return nil, err
	}
	return userrest.ReactivateUser204Response{}, nil
}

// DeleteUser removes a person for good.
func (a *API) DeleteUser(ctx context.Context, request userrest.DeleteUserRequestObject) (userrest.DeleteUserResponseObject, error) {
	_, ctx = incoming(ctx)
	if err := a.administer(ctx, request.UserId, "person deleted", a.People.Delete); err != nil {
		return nil, err
	}
	return userrest.DeleteUser204Response{}, nil
}

// administer does something to the person of an id; an id in any but its one spelling is nobody's.
func (a *API) administer(ctx context.Context, id, what string, do func(context.Context, person.Actor, person.ID) error) error {
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return person.ErrNotFound
	}
	if err := do(ctx, actor(ctx), person.ID(id)); err != nil {
		return err
	}
	a.Telemetry.Log.InfoContext(ctx, what, telemetry.PersonID(id), telemetry.WorkspaceID(actor(ctx).Workspace))
	return nil
}

func userOf(p person.Person) userrest.User {
	return userrest.User{
		Id: string(p.ID), Email: string(p.Email), Name: string(p.Name), Role: userrest.UserRole(p.Role), Active: p.Active, CreatedAt: p.CreatedAt.UTC(),
	}
}
