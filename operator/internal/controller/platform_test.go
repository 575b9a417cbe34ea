package controller_test

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

// platform keeps the promises of workspace.proto in memory: a stand-in for the user service, which the operator may not import. The end-to-end suite
// has the real one. Callers have to introduce themselves by a token that the API server says is the operator's, for this audience.
type platform struct {
	workspacev1connect.UnimplementedWorkspaceServiceHandler

	api      client.Client
	audience string
	url      string
	traces   atomic.Value // the traceparent of the last Apply

	// what stands in the way of calls
	down    atomic.Bool
	refuses atomic.Pointer[connect.Error]

	mu     sync.Mutex
	rows   map[string]*row // by their own ids
	known  map[string]bool // tokens
	calls  []string
	hashes int // passwords taken
}

type row struct {
	*workspacev1.Workspace
	administrator, email, password string
	asked                          []string // ids that it is asked for by
}

func startPlatform(t testing.TB, api client.Client, audience string) *platform {
	t.Helper()
	p := &platform{api: api, audience: audience, rows: map[string]*row{}, known: map[string]bool{}}
	mux := http.NewServeMux()
	mux.Handle(workspacev1connect.NewWorkspaceServiceHandler(p, connect.WithInterceptors(connect.UnaryInterceptorFunc(p.admit))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *platform) admit(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if p.down.Load() {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New("the database is away"))
		}
		if err := p.refuses.Load(); err != nil {
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
			if err := p.api.Create(ctx, review); err != nil || !review.Status.Authenticated || !strings.HasSuffix(review.Status.User.Username, ":operator") {
				return nil, refusal(connect.CodeUnauthenticated, "caller-unknown", "", "who calls?")
			}
			p.mu.Lock()
			p.known[token] = true
			p.mu.Unlock()
		}
		return next(ctx, req)
	}
}

// refusal is an error as the services send it.
func refusal(code connect.Code, reason, field, detail string) *connect.Error {
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
func (p *platform) find(id string) *row {
	for _, r := range p.rows {
		for _, a := range r.asked {
			if a == id {
				return r
			}
		}
	}
	return nil
}

func (p *platform) ApplyWorkspace(_ context.Context, req *connect.Request[workspacev1.ApplyWorkspaceRequest]) (*connect.Response[workspacev1.Workspace], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traces.Store(req.Header().Get("Traceparent"))
	m := req.Msg
	if m.GetTitle() == "refused" {
		return nil, refusal(connect.CodeInvalidArgument, "invalid-title", "title", "A title should not be that.")
	}
	r := p.find(m.GetWorkspaceId())
	for _, other := range p.rows {
		if other == r {
			continue
		}
		if other.GetSlug() == m.GetSlug() {
			if r != nil || other.GetReleasedAt() == nil || other.administrator != m.GetAdministrator() {
				return nil, refusal(connect.CodeFailedPrecondition, "slug-taken", "slug", "Another workspace has this slug.")
			}
			r = other
			r.asked = append(r.asked, m.GetWorkspaceId())
			continue
		}
		if m.GetHost() != "" && other.GetHost() == m.GetHost() {
			return nil, refusal(connect.CodeFailedPrecondition, "host-taken", "host", "Another workspace has this host.")
		}
	}
	if r == nil {
		r = &row{Workspace: &workspacev1.Workspace{WorkspaceId: m.GetWorkspaceId(), Usage: &workspacev1.Usage{AsOf: timestamppb.Now()}}, asked: []string{m.GetWorkspaceId()}}
		p.rows[m.GetWorkspaceId()] = r
	}
	before, ok := proto.Clone(r.Workspace).(*workspacev1.Workspace)
	if !ok {
		panic("a clone of another type")
	}
	r.Slug, r.Title, r.Host, r.Policy, r.ReleasedAt, r.administrator = m.GetSlug(), m.GetTitle(), m.GetHost(), m.GetPolicy(), nil, m.GetAdministrator()
	if r.GetOwnerId() == "" && m.GetOwner() != nil {
		r.OwnerId, r.email, r.password = "owner", m.GetOwner().GetEmail(), m.GetOwner().GetInitialPassword()
		r.Usage.Members = 1
		p.hashes++
	}
	if !proto.Equal(before, r.Workspace) {
		r.Version++
	}
	return connect.NewResponse(r.Workspace), nil
}

func (p *platform) GetWorkspace(_ context.Context, req *connect.Request[workspacev1.GetWorkspaceRequest]) (*connect.Response[workspacev1.Workspace], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.find(req.Msg.GetWorkspaceId()); r != nil {
		return connect.NewResponse(r.Workspace), nil
	}
	return nil, refusal(connect.CodeNotFound, "workspace-not-found", "", "There is no such workspace.")
}

func (p *platform) ReleaseWorkspace(
	_ context.Context, req *connect.Request[workspacev1.ReleaseWorkspaceRequest],
) (*connect.Response[workspacev1.ReleaseWorkspaceResponse], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.find(req.Msg.GetWorkspaceId()); r != nil {
		r.ReleasedAt = timestamppb.New(time.Now())
	}
	return connect.NewResponse(&workspacev1.ReleaseWorkspaceResponse{}), nil
}

func (p *platform) DeleteWorkspace(
	_ context.Context, req *connect.Request[workspacev1.DeleteWorkspaceRequest],
) (*connect.Response[workspacev1.DeleteWorkspaceResponse], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.find(req.Msg.GetWorkspaceId()); r != nil {
		delete(p.rows, r.GetWorkspaceId())
	}
	return connect.NewResponse(&workspacev1.DeleteWorkspaceResponse{}), nil
}

// all is every row, for a test to look at and to spoil.
func (p *platform) all(look func(rows map[string]*row)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	look(p.rows)
}

// called is how often a procedure was called since the last asking.
func (p *platform) called() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}
