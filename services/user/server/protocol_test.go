package server_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
)

// h2c is a client that speaks HTTP/2 without TLS, as gRPC does inside.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func introduced(token string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			if token != "" {
				r.Header().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, r)
		}
	}))
}

// dialects are the protocols and HTTP versions that the internal port speaks.
func dialects(t *testing.T, w *world) map[string]struct {
	client  *http.Client
	options []connect.ClientOption
} {
	t.Helper()
	type dialect = struct {
		client  *http.Client
		options []connect.ClientOption
	}
	return map[string]dialect{
		"connect":            {w.http, nil},
		"connect with JSON":  {w.http, []connect.ClientOption{connect.WithProtoJSON()}},
		"connect with GET":   {w.http, []connect.ClientOption{connect.WithHTTPGet()}},
		"connect on HTTP/2":  {h2c(t), nil},
		"gRPC":               {h2c(t), []connect.ClientOption{connect.WithGRPC()}},
		"gRPC-Web":           {w.http, []connect.ClientOption{connect.WithGRPCWeb()}},
		"gRPC-Web on HTTP/2": {h2c(t), []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

func TestTheInternalPortSpeaksThreeProtocols(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	get := &workspacev1.GetWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}
	for name, d := range dialects(t, w) {
		client := workspacev1connect.NewWorkspaceServiceClient(d.client, "http://"+w.server.RPCAddr(), append(d.options, introduced(operatorToken))...)
		res, err := client.GetWorkspace(t.Context(), connect.NewRequest(get))
		if err != nil || res.Msg.GetSlug() != "acme" {
			t.Errorf("%s: %v", name, err)
		}
		_, err = client.GetWorkspace(t.Context(), connect.NewRequest(&workspacev1.GetWorkspaceRequest{WorkspaceId: newID(t)}))
		if codeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: a workspace that is not there: %v", name, err)
		}
	}
}

func TestRealGRPC(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	conn, err := grpc.NewClient(w.server.RPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+operatorToken)
	var got workspacev1.Workspace
	const method = workspacev1connect.WorkspaceServiceGetWorkspaceProcedure
	if err := conn.Invoke(ctx, method, &workspacev1.GetWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}, &got); err != nil || got.GetSlug() != "acme" {
		t.Fatalf("got %v, %v", &got, err)
	}
	for want, c := range map[codes.Code]struct {
		ctx context.Context
		id  string
	}{
		codes.NotFound:        {ctx, newID(t)},
		codes.InvalidArgument: {ctx, "x"},
		codes.Unauthenticated: {t.Context(), acme.GetWorkspaceId()},
	} {
		if err := conn.Invoke(c.ctx, method, &workspacev1.GetWorkspaceRequest{WorkspaceId: c.id}, &got); status.Code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	late, cancel := context.WithTimeout(ctx, time.Nanosecond)
	defer cancel()
	if err := conn.Invoke(late, method, &workspacev1.GetWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}, &got); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("without time: %v", err)
	}
}

func TestThePublicPortAnswersNoCall(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	get := &workspacev1.GetWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}
	for name, d := range dialects(t, w) {
		client := workspacev1connect.NewWorkspaceServiceClient(d.client, "http://"+w.server.HTTPAddr(), append(d.options, introduced(operatorToken))...)
		if _, err := client.GetWorkspace(t.Context(), connect.NewRequest(get)); err == nil {
			t.Errorf("%s is answered on the public port", name)
		}
	}
	b := w.owner("default")
	for _, path := range []string{
		workspacev1connect.WorkspaceServiceGetWorkspaceProcedure, workspacev1connect.WorkspaceServiceApplyWorkspaceProcedure,
		"/.well-known/jwks.json", "/livez", "/readyz", "/metrics", "/", "/api/v1", "/api/v1/me/", "/API/V1/me", "/api/v1/notes", "/api/v1/../v1/me", "//api/v1/me",
	} {
		b.get(path).refused(t, http.StatusNotFound, "not-found")
	}
}

func TestOnlyTheRightCallerMayCall(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	ann := w.signUp("Ann")
	events := w.since(func() {
		for token, want := range map[string]connect.Code{
			"": connect.CodeUnauthenticated, "x": connect.CodeUnauthenticated, "gateway": connect.CodeUnauthenticated, ann.token: connect.CodeUnauthenticated,
			operatorToken + "x": connect.CodeUnauthenticated, noteToken: connect.CodePermissionDenied,
		} {
			client := workspacev1connect.NewWorkspaceServiceClient(w.http, "http://"+w.server.RPCAddr(), introduced(token))
			_, err := client.DeleteWorkspace(t.Context(), connect.NewRequest(&workspacev1.DeleteWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}))
			if codeOf(err) != want {
				t.Errorf("%.12q: %v, want %s", token, err, want)
			}
		}
	})
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
}

func TestTheOperationsPort(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := w.browser("default")
	b.addr = w.server.OpsAddr()
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		b.get(path).require(t, http.StatusOK)
	}
	b.get("/api/v1/me").require(t, http.StatusNotFound)
}
