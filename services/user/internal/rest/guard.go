package rest

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/tenant"
)

// refuseOddRequests keeps out what two readers could understand in two ways: a parameter given twice, a broken escape, a body that is not plain JSON.
func refuseOddRequests(c *gin.Context) {
	if err := checkQuery(c.Request.URL.RawQuery); err != nil {
		fail(c, err)
		return
	}
	if err := httpserver.CheckJSONBody(c.Request); err != nil {
		fail(c, err)
	}
}

func checkQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errs.Invalid("invalid-query", "The query of the address cannot be read.").WithCause(err)
	}
	for name, values := range query {
		switch {
		case len(values) > 1:
			return errs.Invalid("repeated-parameter", "A parameter is given more than once.").WithField(printable(name))
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			return errs.Invalid("invalid-query", "A parameter holds what is no text.").WithField(printable(name))
		}
	}
	return nil
}

// printable is a stranger's name for a parameter, if it is fit to be repeated.
func printable(name string) string {
	if len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' }) {
		return ""
	}
	return name
}

// refuseOtherOrigins protects the routes that read or set the refresh cookie: a page of another origin can make a browser call them.
func refuseOtherOrigins(c *gin.Context) {
	if strings.HasPrefix(c.FullPath(), cookiePath+"/") && !sameOrigin(c.Request) {
		fail(c, errs.Forbidden("cross-origin", "This can only be asked from the workspace's own pages."))
	}
}

// sameOrigin holds for callers that say no origin, which no browser omits on a POST.
func sameOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	switch len(origins) {
	case 0:
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "" || site == "same-origin" || site == "none"
	case 1:
		u, err := url.Parse(origins[0])
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, r.Host)
	}
	return false
}

type actorKey struct{}

// actor is who acts; every route but the anonymous ones has one.
func actor(ctx context.Context) person.Actor {
	a, ok := ctx.Value(actorKey{}).(person.Actor)
	if !ok {
		panic("rest: a route that needs an actor is anonymous")
	}
	return a
}

// authenticate lets nobody pass whose token does not verify, whose session has ended or who may not come in.
func (a *API) authenticate(c *gin.Context) {
	if c.FullPath() == "" || anonymous(c.FullPath()) {
		return
	}
	ctx, err := a.Tokens.Authenticate(c.Request)
	if err != nil {
		fail(c, err)
		return
	}
	claimed, _ := auth.From(ctx)
	acting, err := a.Sessions.Actor(ctx, tenant.ID(claimed.WorkspaceID), person.ID(claimed.PersonID), session.ID(claimed.SessionID))
	if err != nil {
		fail(c, err)
		return
	}
	c.Request = c.Request.WithContext(context.WithValue(ctx, actorKey{}, acting))
}
