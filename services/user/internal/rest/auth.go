package rest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/api/gen/rest/userrest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

// GetWorkspace tells the sign-in page where it is.
func (a *API) GetWorkspace(ctx context.Context, _ userrest.GetWorkspaceRequestObject) (userrest.GetWorkspaceResponseObject, error) {
	c, ctx := incoming(ctx)
	id, err := a.here(ctx, c)
	if err != nil {
		return nil, err
	}
	found, err := a.Workspaces.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return userrest.GetWorkspace200JSONResponse(workspaceOf(found)), nil
}

// workspaceOf is what everybody may know: how to get in, and what a gateway keeps to.
func workspaceOf(w workspace.Workspace) userrest.Workspace {
	suspended := w.Suspended()
	answer := userrest.Workspace{
		Id: string(w.ID), Slug: string(w.Slug), Title: w.Title, SignUp: userrest.WorkspaceSignUp(w.Policy.Admission.SignUp), Suspended: &suspended,
	}
	if domains := w.Policy.Admission.EmailDomains; len(domains) > 0 {
		answer.EmailDomains = &domains
	}
	if most := int(w.Policy.Limits.RequestsPerMinute); most > 0 {
		answer.RequestsPerMinute = &most
	}
	return answer
}

// Register signs someone up, and in.
func (a *API) Register(ctx context.Context, request userrest.RegisterRequestObject) (userrest.RegisterResponseObject, error) {
	c, ctx := incoming(ctx)
	in, err := a.door(ctx, c, request.Body.Email)
	if err != nil {
		return nil, err
	}
	signed, err := a.Sessions.SignUp(ctx, in, person.Newcomer{
		Email: request.Body.Email, Name: request.Body.Name, Password: request.Body.Password,
	}, codeOf(request.Body.Invitation))
	if err != nil {
		return nil, err
	}
	a.Telemetry.Log.InfoContext(ctx, "person signed up", about(signed.Person)...)
	return userrest.Register201JSONResponse{
		Body:    a.answer(c, signed),
		Headers: userrest.Register201ResponseHeaders{SetCookie: a.setCookie(c, signed.Refresh.String(), signed.Lasts)},
	}, nil
}

func codeOf(invitation *string) admission.Code {
	if invitation == nil {
		return admission.NoCode
	}
	return admission.ParseCode(*invitation)
}

// Login signs someone in.
func (a *API) Login(ctx context.Context, request userrest.LoginRequestObject) (userrest.LoginResponseObject, error) {
	c, ctx := incoming(ctx)
	in, err := a.door(ctx, c, request.Body.Email)
	if err != nil {
		return nil, err
	}
	signed, err := a.Sessions.SignIn(ctx, in, request.Body.Email, request.Body.Password)
	if err != nil {
		return nil, err
	}
	a.Telemetry.Log.InfoContext(ctx, "person signed in", about(signed.Person)...)
	return userrest.Login200JSONResponse{
		Body:    a.answer(c, signed),
		Headers: userrest.Login200ResponseHeaders{SetCookie: a.setCookie(c, signed.Refresh.String(), signed.Lasts)},
	}, nil
}

// door is the workspace of the host, for someone who has not tried too often.
func (a *API) door(ctx context.Context, c *gin.Context, address string) (tenant.ID, error) {
	if err := a.admitAddress(c); err != nil {
		return "", err
	}
	in, err := a.here(ctx, c)
	if err != nil {
		return "", err
	}
	return in, a.admitAccount(in, strings.ToLower(strings.TrimSpace(address)))
}

// Refresh exchanges the refresh cookie.
func (a *API) Refresh(ctx context.Context, _ userrest.RefreshRequestObject) (userrest.RefreshResponseObject, error) {
	c, ctx := incoming(ctx)
	in, err := a.here(ctx, c)
	if err != nil {
		return nil, err
	}
	signed, err := a.Sessions.Refresh(ctx, in, refreshCookie(c))
	if err != nil {
		a.ended(ctx, c, err)
		return nil, err
	}
	return userrest.Refresh200JSONResponse{
		Body:    a.answer(c, signed),
		Headers: userrest.Refresh200ResponseHeaders{SetCookie: a.setCookie(c, signed.Refresh.String(), signed.Lasts)},
	}, nil
}

// ended takes away a cookie that is of no use any more, and reports one that was probably stolen.
func (a *API) ended(ctx context.Context, c *gin.Context, err error) {
	if !errors.Is(err, session.ErrEnded) {
		return
	}
	c.Header("Set-Cookie", *a.setCookie(c, "", 0))
	if errors.Is(err, session.ErrReused) {
		a.Telemetry.Log.WarnContext(ctx, "refresh token reused, session ended")
	}
}

// Logout ends the session of the refresh cookie.
func (a *API) Logout(ctx context.Context, _ userrest.LogoutRequestObject) (userrest.LogoutResponseObject, error) {
	c, ctx := incoming(ctx)
	in, err := a.here(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := a.Sessions.SignOut(ctx, in, refreshCookie(c)); err != nil {
		return nil, err
	}
	c.Header("Cache-Control", "no-store")
	return userrest.Logout204Response{Headers: userrest.Logout204ResponseHeaders{SetCookie: a.setCookie(c, "", 0)}}, nil
}

func (a *API) answer(c *gin.Context, signed session.SignedIn) userrest.Session {
	c.Header("Cache-Control", "no-store")
	return userrest.Session{
		User: userOf(signed.Person), AccessToken: signed.Access.Token, ExpiresIn: int(signed.Access.Expires / time.Second),
	}
}

func about(p person.Person) []any {
	return []any{telemetry.PersonID(p.ID), telemetry.WorkspaceID(p.Workspace), telemetry.Role(p.Role)}
}
