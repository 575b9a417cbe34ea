// Package edge is the public door: what every request from outside passes, and where it goes from there.
//
// It promises: a request is for a workspace that exists; a token is genuine, of that workspace, and of a session that has not ended; a path
// means the same here as it will behind; every answer carries the security headers. Imports the gateway's own packages and the kit.
package edge

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/proxy"
	"noteworks.dev/services/gateway/internal/tenant"
	"noteworks.dev/services/gateway/internal/web"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
)

const (
	apiPrefix = "/api/"
	// LivePath is where sockets are opened.
	LivePath = "/api/v1/live"
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
	httpserver.SetRoute(r, proxy.Template(path))
	d.call(w, r)
}

func (d *Door) call(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == LivePath:
		d.Live.ServeHTTP(w, r) // asks for the workspace itself, and for the person in the first frame
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
// service is away.
func (d *Door) page(w http.ResponseWriter, r *http.Request) {
	_, err := d.Workspaces.Find(r.Context(), r.Host)
	switch {
	case errs.KindOf(err) != errs.KindNotFound:
		d.Site.ServeHTTP(w, r)
	case web.Navigates(r):
		web.Nowhere(w, r)
	default:
		problem.Write(w, r, err)
	}
}

// HostWorkspace is the id of the workspace that r's host names.
func (d *Door) HostWorkspace(r *http.Request) (string, error) {
	w, err := d.Workspaces.Find(r.Context(), r.Host)
	return w.ID, err
}

// admit lets r pass without a token, or with one that is good here. What an anonymous request may do is the service's to say.
func (d *Door) admit(r *http.Request) error {
	workspace, err := d.HostWorkspace(r)
	if err != nil {
		return err
	}
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
	return !strings.HasPrefix(path, "/api/v1/auth/") && path != "/api/v1/workspace"
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
