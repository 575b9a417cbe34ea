// Package edge is the public door: what every request from outside passes, and where it goes from there.
//
// It promises: a request is for a workspace that exists, is not suspended, and has not used up its requests; a token is genuine, of that
// workspace, and of a session that has not ended; a path means the same here as it will behind; every answer carries the security
// headers. Imports the gateway's own packages and the kit.
package edge

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/proxy"
	"noteworks.dev/services/gateway/internal/quota"
	"noteworks.dev/services/gateway/internal/tenant"
	"noteworks.dev/services/gateway/internal/web"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

const (
	apiPrefix = "/api/"
	// LivePath is where sockets are opened.
	LivePath = "/api/v1/live"
	// workspacePath is where anyone learns about the workspace, also that it is suspended.
	workspacePath = "/api/v1/workspace"
	// maxTarget bounds a request's path and query.
	maxTarget = 8 << 10
	maxPath   = 2 << 10
)

// Workspaces finds the workspace of a host.
type Workspaces interface {
	Find(ctx context.Context, host string) (tenant.Workspace, error)
}

// Door is an http.Handler.
type Door struct {
	Workspaces Workspaces
	Verifier   *auth.Verifier
	Endings    *live.Endings
	Quota      *quota.Quota
	Live       http.Handler
	API        http.Handler
	Site       http.Handler
	Trusted    []netip.Prefix
}

// ServeHTTP sends r where it belongs.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.secure(w, r)
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if len(r.RequestURI) > maxTarget || len(path) > maxPath {
		problem.Write(w, r, errs.Invalid("path-too-long", "The address is too long."))
		return
	}
	if !strings.HasPrefix(r.URL.Path, apiPrefix) && r.URL.Path != strings.TrimSuffix(apiPrefix, "/") {
		d.page(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if !proxy.PlainPath(path) {
		problem.Write(w, r, errs.NotFound("not-found", "There is nothing at this address."))
		return
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil { // the proxy would leave out what it cannot read, and a refusal become something done
		problem.Write(w, r, errs.Invalid("invalid-query", "The query of the address cannot be read.").WithCause(err))
		return
	}
	httpserver.SetRoute(r, proxy.Template(path))
	d.call(w, r)
}

func (d *Door) call(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == LivePath:
		d.Live.ServeHTTP(w, r) // asks Enter itself, and for the person in the first frame
	case proxy.UpstreamOf(r.URL.Path) == proxy.None:
		problem.Write(w, r, errs.NotFound("not-found", "There is nothing at this address."))
	default:
		if err := d.admit(r); err != nil {
			problem.Write(w, r, err)
			return
		}
		d.API.ServeHTTP(w, r)
	}
}

// page serves the app at hosts that have a workspace. When that cannot be told the app is served: it says by itself that the
// service is away. The parts of the app are served while the workspace is suspended, for pages that are open and tell of it themselves.
func (d *Door) page(w http.ResponseWriter, r *http.Request) {
	workspace, err := d.Workspaces.Find(r.Context(), r.Host)
	switch {
	case workspace.Suspended && web.Navigates(r):
		web.Suspended(w, r)
	case errs.KindOf(err) != errs.KindNotFound:
		d.Site.ServeHTTP(w, r)
	case web.Navigates(r):
		web.Nowhere(w, r)
	default:
		problem.Write(w, r, err)
	}
}

// Enter is the id of the workspace that r's host names, if r may open a socket there. That is one of its requests.
func (d *Door) Enter(r *http.Request) (string, error) {
	w, err := d.Workspaces.Find(r.Context(), r.Host)
	switch {
	case err != nil:
		return "", err
	case w.Suspended:
		return "", tenant.ErrSuspended()
	}
	return w.ID, d.count(r.Context(), w)
}

// admit lets r pass if its workspace is open to requests, and r has no token or one that is good there. What is refused for its token does
// not count against the workspace, whose limit would be anybody's to use up.
func (d *Door) admit(r *http.Request) error {
	w, err := d.Workspaces.Find(r.Context(), r.Host)
	switch {
	case err != nil:
		return err
	case r.URL.Path == workspacePath:
		return d.identify(r, w.ID)
	case w.Suspended:
		return tenant.ErrSuspended()
	}
	if err := d.identify(r, w.ID); err != nil {
		return err
	}
	return d.count(r.Context(), w)
}

// count takes one of w's requests.
func (d *Door) count(ctx context.Context, w tenant.Workspace) error {
	why, ok := d.Quota.Take(w.ID, w.RequestsPerMinute)
	if ok {
		return nil
	}
	if why.News {
		telemetry.LogFrom(ctx).WarnContext(ctx, "workspace sends more than it may", telemetry.WorkspaceID(w.ID), slog.String("slug", w.Slug),
			slog.Int("requests_per_minute", w.RequestsPerMinute))
	}
	return errs.RateLimited("requests-limit-reached", "This workspace has sent more requests than it may at a time. Please wait a moment.").
		WithRetryAfter(why.Wait)
}

// identify lets r pass without a token, or with one that is good here. What an anonymous request may do is the service's to say.
func (d *Door) identify(r *http.Request, workspace string) error {
	if !takesToken(r.URL.Path) {
		r.Header.Del("Authorization") // a client whose token has expired comes here for a new one, and may send it along
		return nil
	}
	if len(r.Header.Values("Authorization")) == 0 {
		return nil
	}
	ctx, err := d.Verifier.Authenticate(r)
	if err != nil {
		return err
	}
	actor, _ := auth.From(ctx)
	return d.mayAct(identity(actor), workspace)
}

// takesToken reports whether a token means anything at path: credential routes go by password and cookie.
func takesToken(path string) bool {
	return !strings.HasPrefix(path, "/api/v1/auth/") && path != workspacePath
}

func (d *Door) mayAct(who live.Identity, workspace string) error {
	if who.Workspace != workspace {
		return errs.Unauthenticated(live.CodeWrongWorkspace, "The token is of another workspace.")
	}
	if d.Endings.Ended(who) {
		return errs.Unauthenticated(live.CodeSessionEnded, "The session has ended.")
	}
	return nil
}

// Verify answers who a socket's token speaks for.
func (d *Door) Verify(ctx context.Context, token string) (live.Identity, error) {
	actor, err := d.Verifier.Verify(ctx, token)
	return identity(actor), err
}

func identity(a auth.Actor) live.Identity {
	return live.Identity{Person: a.PersonID, Workspace: a.WorkspaceID, Session: a.SessionID, Expires: a.Expires}
}
