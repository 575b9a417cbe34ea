// Package rest is the note service's public HTTP API, as services/api/openapi/note.yaml has it.
//
// It promises: who acts comes from the verified access token and from nothing else; what cannot be meant (odd ids, cursors of another list,
// parameters given twice) is refused before it reaches the domain; errors leave as problems with stable codes. Imports gin, the generated
// server, the kit and its domain.
package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/note/internal/note"
)

// API answers requests. All fields must be set.
type API struct {
	Notes     *note.Notes
	Tokens    *auth.Verifier
	Telemetry *telemetry.Telemetry
}

var _ noterest.StrictServerInterface = (*API)(nil)

// authenticate lets nobody reach a route whose token does not verify.
func (a *API) authenticate(c *gin.Context) {
	if c.FullPath() == "" {
		return // there is no such route, whoever asks
	}
	ctx, err := a.Tokens.Authenticate(c.Request)
	if err != nil {
		fail(c, err)
		return
	}
	c.Request = c.Request.WithContext(ctx)
}

// incoming is the request behind a generated handler's context, and who acts in it. Work goes on with the request's own context: gin's is
// used again for the next request, and a query that was given up may still look at it.
func incoming(ctx context.Context) (*gin.Context, context.Context, note.Actor) {
	c, ok := ctx.(*gin.Context)
	if !ok {
		panic("rest: a handler outside of gin")
	}
	who, ok := auth.From(c.Request.Context())
	if !ok {
		panic("rest: a route without authentication")
	}
	return c, c.Request.Context(), note.Actor{Person: note.PersonID(who.PersonID), Workspace: note.WorkspaceID(who.WorkspaceID)}
}

// unreadable answers a request that the generated code could not make sense of.
func unreadable(c *gin.Context, err error) { fail(c, httpserver.BindError(err)) }

// fail is the one door by which errors leave.
func fail(c *gin.Context, err error) {
	var stale *note.StaleError
	if errors.As(err, &stale) {
		err = staleProblem{stale}
	}
	problem.Write(c.Writer, c.Request, err)
	c.Abort()
}

// staleProblem shows the note as it is now beside the problem, so that nobody has to ask again before merging.
type staleProblem struct{ *note.StaleError }

func (p staleProblem) Unwrap() error { return p.StaleError.Unwrap() }

// ProblemExtensions is problem's way to add members.
func (p staleProblem) ProblemExtensions() map[string]any {
	return map[string]any{"current": noteJSON(&p.Current)}
}

// private marks what only this caller may keep, and must ask about each time. With the next token it is asked for anew, as it may be
// somebody else's.
func private(c *gin.Context) {
	c.Header("Cache-Control", "private, no-cache")
	c.Header("Vary", "Authorization")
}

// refuseOddRequests keeps out what two readers could understand in two ways: a parameter given twice, a broken escape, a body that is not plain JSON.
func refuseOddRequests(c *gin.Context) {
	if err := checkQuery(c.Request.URL.RawQuery); err != nil {
		fail(c, err)
		return
	}
	if err := httpserver.CheckJSONBody(c.Request); err != nil {
		fail(c, err)
		return
	}
	if c.Request.Method == http.MethodGet {
		private(c)
	}
}
