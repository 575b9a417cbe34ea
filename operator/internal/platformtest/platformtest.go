// Package platformtest is a stand-in for the user service, which the operator may not import: it keeps the promises of workspace.proto in memory. The
// end-to-end suite has the real one.
//
// Callers have to introduce themselves by a token that the API server says is that of a service account called operator or noteworks-operator, for this
// audience.
//
// Test-only. Imports testing, connect and the generated code.
package platformtest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
)

// Platform is one user service.
type Platform struct {
	workspacev1connect.UnimplementedWorkspaceServiceHandler

	// URL is where it is.
	URL string
	// Down has every call answered as if the database were away.
	Down atomic.Bool
	// Refuses, if set, is the answer to every call.
	Refuses atomic.Pointer[connect.Error]

	api      client.Client
	audience string

	mu          sync.Mutex
	rows        map[string]*Row // by their own ids
	known       map[string]bool // tokens
	calls       []string
	owners      int
	traceparent string
}

// Row is one workspace.
type Row struct {
	*workspacev1.Workspace
	Administrator, Email, Password string

	asked []string // ids that it is asked for by
}

// Start serves until the test ends. api reviews tokens.
func Start(t testing.TB, api client.Client, audience string) *Platform {
	t.Helper()
	p := &Platform{api: api, audience: audience, rows: map[string]*Row{}, known: map[string]bool{}}
	mux := http.NewServeMux()
	mux.Handle(workspacev1connect.NewWorkspaceServiceHandler(p, connect.WithInterceptors(connect.UnaryInterceptorFunc(p.admit))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

func (p *Platform) admit(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if p.Down.Load() {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New("the database is away"))
		}
		if err := p.Refuses.Load(); err != nil {
			return nil, err
		}
		token := strings.TrimPrefix(req.Header().Get("Authorization"), "Bearer ")
		p.mu.Lock()
		_, name, _ := strings.Cut(req.Spec().Procedure[1:], "/")
		p.calls = append(p.calls, name)
		known := p.known[token]
		p.mu.Unlock()
		if !known {
			review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{p.audience}}}
			if err := p.api.Create(ctx, review); err != nil || !review.Status.Authenticated || !operator(review.Status.User.Username) {
				return nil, Refusal(connect.CodeUnauthenticated, "caller-unknown", "", "who calls?")
			}
			p.mu.Lock()
			p.known[token] = true
			p.mu.Unlock()
		}
		return next(ctx, req)
	}
}

func operator(user string) bool {
	return strings.HasSuffix(user, ":operator") || strings.HasSuffix(user, ":noteworks-operator")
}

// Refusal is an error as the services send it.
func Refusal(code connect.Code, reason, field, detail string) *connect.Error {
	err := connect.NewError(code, errors.New(detail))
	info := &errdetails.ErrorInfo{Domain: "noteworks.dev", Reason: reason, Metadata: map[string]string{}}
	if field != "" {
		info.Metadata["field"] = field
	}
	d, failed := connect.NewErrorDetail(info)
	if failed != nil {
		panic(failed)
	}
	err.AddDetail(d)
	return err
}

// find is the row that id asks for. The caller holds the lock.
func (p *Platform) find(id string) *Row {
	for _, r := range p.rows {
		for _, a := range r.asked {
			if a == id {
				return r
			}
		}
	}
	return nil
}

// ApplyWorkspace is the procedure of this name.
func (p *Platform) ApplyWorkspace(_ context.Context, req *connect.Request[workspacev1.ApplyWorkspaceRequest]) (*connect.Response[workspacev1.Workspace], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traceparent = req.Header().Get("Traceparent")
	m := req.Msg
	if m.GetTitle() == "refused" {
		return nil, Refusal(connect.CodeInvalidArgument, "invalid-title", "title", "A title should not be that.")
	}
	r := p.find(m.GetWorkspaceId())
	for _, other := range p.rows {
		if other == r {
			continue
		}
		if other.GetSlug() == m.GetSlug() {
			if r != nil || other.GetReleasedAt() == nil || other.Administrator != m.GetAdministrator() {
				return nil, Refusal(connect.CodeFailedPrecondition, "slug-taken", "slug", "Another workspace has this slug.")
			}
			r = other
			r.asked = append(r.asked, m.GetWorkspaceId())
			continue
		}
		if m.GetHost() != "" && other.GetHost() == m.GetHost() {
			return nil, Refusal(connect.CodeFailedPrecondition, "host-taken", "host", "Another workspace has this host.")
		}
	}
	if r == nil {
		r = &Row{Workspace: &workspacev1.Workspace{WorkspaceId: m.GetWorkspaceId(), Usage: &workspacev1.Usage{AsOf: timestamppb.Now()}}, asked: []string{m.GetWorkspaceId()}}
		p.rows[m.GetWorkspaceId()] = r
	}
	before, ok := proto.Clone(r.Workspace).(*workspacev1.Workspace)
	if !ok {
		panic("a clone of another type")
	}
	r.Slug, r.Title, r.Host, r.Policy, r.ReleasedAt, r.Administrator = m.GetSlug(), m.GetTitle(), m.GetHost(), m.GetPolicy(), nil, m.GetAdministrator()
	if r.GetOwnerId() == "" && m.GetOwner() != nil {
		r.OwnerId, r.Email, r.Password = "owner", m.GetOwner().GetEmail(), m.GetOwner().GetInitialPassword()
		r.Usage.Members = 1
		p.owners++
	}
	if !proto.Equal(before, r.Workspace) {
		r.Version++
	}
	return connect.NewResponse(r.Workspace), nil
}

// GetWorkspace is the procedure of this name.
func (p *Platform) GetWorkspace(_ context.Context, req *connect.Request[workspacev1.GetWorkspaceRequest]) (*connect.Response[workspacev1.Workspace], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.find(req.Msg.GetWorkspaceId()); r != nil {
		return connect.NewResponse(r.Workspace), nil
	}
	return nil, Refusal(connect.CodeNotFound, "workspace-not-found", "", "There is no such workspace.")
}

// ReleaseWorkspace is the procedure of this name.
func (p *Platform) ReleaseWorkspace(
	_ context.Context, req *connect.Request[workspacev1.ReleaseWorkspaceRequest],
) (*connect.Response[workspacev1.ReleaseWorkspaceResponse], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.find(req.Msg.GetWorkspaceId()); r != nil {
		r.ReleasedAt = timestamppb.New(time.Now())
	}
	return connect.NewResponse(&workspacev1.ReleaseWorkspaceResponse{}), nil
}

// DeleteWorkspace is the procedure of this name.
func (p *Platform) DeleteWorkspace(
	_ context.Context, req *connect.Request[workspacev1.DeleteWorkspaceRequest],
) (*connect.Response[workspacev1.DeleteWorkspaceResponse], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.find(req.Msg.GetWorkspaceId()); r != nil {
		delete(p.rows, r.GetWorkspaceId())
	}
	return connect.NewResponse(&workspacev1.DeleteWorkspaceResponse{}), nil
}

// Rows is every workspace by its own id, for a test to look at and to spoil.
func (p *Platform) Rows(look func(rows map[string]*Row)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	look(p.rows)
}

// Calls is every procedure that was called since the last asking.
func (p *Platform) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}

// Owners is how many owners were made.
func (p *Platform) Owners() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owners
}

// Traceparent is that of the last ApplyWorkspace.
func (p *Platform) Traceparent() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.traceparent
}
