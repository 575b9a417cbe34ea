// Package registry is where a stack keeps its workspaces, the WorkspaceService of its user service, as the operator talks to it.
//
// It promises: callers are introduced by a token that is made for one stack and worth nothing at another; every call ends within its time, tried again
// with jitter while nobody answers; every failure is a *Failure that says what kind it is; the trace of ctx goes along.
// Imports connect, the generated client, OpenTelemetry and Kubernetes' client.
package registry

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
)

const (
	// applyPatience is for a new owner, whose password is hashed behind others'.
	applyPatience = 5 * time.Second
	// patience of other calls: a deletion that is blocked has to say so within five seconds.
	patience = 3 * time.Second

	maxTries   = 3
	firstPause = 50 * time.Millisecond

	maxMessage = 1 << 20
)

// Stack is where a stack's user service is, and what tokens for it are made for.
type Stack struct {
	URL      string
	Audience string
}

// Client calls the user services of all stacks.
type Client struct {
	http   *http.Client
	tokens *Tokens
}

// NewClient sends by next, which is http.DefaultTransport's kind: several connections to one host are kept.
func NewClient(next http.RoundTripper, tokens *Tokens, tracers trace.TracerProvider) *Client {
	return &Client{tokens: tokens, http: &http.Client{
		Transport: otelhttp.NewTransport(next,
			otelhttp.WithTracerProvider(tracers),
			otelhttp.WithPropagators(propagation.TraceContext{}),
			// Looking at what is at rest is no story to tell.
			otelhttp.WithFilter(func(r *http.Request) bool { return trace.SpanContextFromContext(r.Context()).IsValid() }),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/") })),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Apply creates the workspace or makes it match.
func (c *Client) Apply(ctx context.Context, to Stack, want *workspacev1.ApplyWorkspaceRequest) (*workspacev1.Workspace, error) {
	return call(ctx, c, to, applyPatience, workspacev1connect.WorkspaceServiceClient.ApplyWorkspace, want)
}

// Get is the workspace and what it uses; a Failure of kind NotFound if there is none.
func (c *Client) Get(ctx context.Context, to Stack, id string) (*workspacev1.Workspace, error) {
	return call(ctx, c, to, patience, workspacev1connect.WorkspaceServiceClient.GetWorkspace, &workspacev1.GetWorkspaceRequest{WorkspaceId: id})
}

// Release lets go of the workspace and keeps what is in it.
func (c *Client) Release(ctx context.Context, to Stack, id string) error {
	_, err := call(ctx, c, to, patience, workspacev1connect.WorkspaceServiceClient.ReleaseWorkspace, &workspacev1.ReleaseWorkspaceRequest{WorkspaceId: id})
	return err
}

// Delete deletes the workspace and all that is in it.
func (c *Client) Delete(ctx context.Context, to Stack, id string) error {
	_, err := call(ctx, c, to, patience, workspacev1connect.WorkspaceServiceClient.DeleteWorkspace, &workspacev1.DeleteWorkspaceRequest{WorkspaceId: id})
	return err
}

type procedure[Req, Res any] func(workspacev1connect.WorkspaceServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error)

// call tries until somebody answers, maxTries times within limit. All procedures may be called twice.
func call[Req, Res any](ctx context.Context, c *Client, to Stack, limit time.Duration, do procedure[Req, Res], msg *Req) (*Res, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	token, err := c.tokens.For(ctx, to.Audience)
	if err != nil {
		return nil, err
	}
	service := workspacev1connect.NewWorkspaceServiceClient(c.http, to.URL, connect.WithReadMaxBytes(maxMessage), connect.WithSendMaxBytes(maxMessage))
	for try := 1; ; try++ {
		req := connect.NewRequest(msg)
		req.Header().Set("Authorization", "Bearer "+token)
		res, err := do(service, ctx, req)
		if err == nil {
			return res.Msg, nil
		}
		failure := failureOf(err)
		if failure.Kind == NotPermitted {
			c.tokens.forget(to.Audience) // the account may have been made anew
		}
		if failure.Kind != Unavailable || try == maxTries || !pause(ctx, try) {
			return nil, failure
		}
	}
}

// pause waits before the next try, longer each time, and reports whether there is time left for one.
func pause(ctx context.Context, try int) bool {
	longest := firstPause << (try - 1)
	timer := time.NewTimer(longest/2 + rand.N(longest/2)) //nolint:gosec // chance, not secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Is reports whether err is a Failure of kind k.
func Is(err error, k Kind) bool {
	var f *Failure
	return errors.As(err, &f) && f.Kind == k
}
