// Package rest is the user service's public HTTP API, as services/api/openapi/user.yaml has it.
//
// It promises: who acts comes from the verified access token and a session that goes on, and the workspace from that token; only the anonymous
// routes take it from the Host. Errors leave as problems with stable codes. Imports gin, the generated server, the kit and the domain packages.
package rest

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/ratelimit"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

// API answers requests. All fields must be set; TrustedProxies may be empty.
type API struct {
	Sessions    *session.Sessions
	People      *person.People
	Invitations *admission.Invitations
	Workspaces  *workspace.Workspaces
	Tokens      *auth.Verifier
	Telemetry   *telemetry.Telemetry
	// ByAddress and ByAccount bound how often credentials may be tried.
	ByAddress, ByAccount *ratelimit.Limiter
	TrustedProxies       []netip.Prefix
}

// incoming is the request behind a generated handler's context. Work goes on with the request's own context: gin's is used again
// for the next request, and a query that was given up may still look at it.
func incoming(ctx context.Context) (*gin.Context, context.Context) {
	c, ok := ctx.(*gin.Context)
	if !ok {
		panic("rest: a handler outside of gin")
	}
	return c, c.Request.Context()
}

// here is the workspace of an anonymous request.
func (a *API) here(ctx context.Context, c *gin.Context) (tenant.ID, error) {
	return a.Workspaces.OfHost(ctx, c.Request.Host)
}

// admitAddress takes one try of the address the request came from. An IPv6 client has a whole /64 to come from, so that counts as one.
func (a *API) admitAddress(c *gin.Context) error {
	addr := httpserver.ClientIP(c.Request, a.TrustedProxies)
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			addr = network.Addr()
		}
	}
	return admit(a.ByAddress, addr.String())
}

// admitAccount takes one try of an account, whether or not there is one.
func (a *API) admitAccount(in tenant.ID, account string) error {
	key := sha256.Sum256([]byte(string(in) + "\x00" + account))
	return admit(a.ByAccount, string(key[:16]))
}

func admit(limit *ratelimit.Limiter, key string) error {
	wait, ok := limit.Take(key)
	if ok {
		return nil
	}
	return errs.RateLimited("rate-limited", "Too many tries. Please wait a moment.").WithRetryAfter(max(wait, time.Second))
}
