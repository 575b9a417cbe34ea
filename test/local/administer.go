package local

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"noteworks.dev/services/api/gen/admin/v1/adminv1connect"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
)

// Workspaces is the door of whoever administers workspaces, as the operator does.
func (s *Spread) Workspaces() workspacev1connect.WorkspaceServiceClient {
	return workspacev1connect.NewWorkspaceServiceClient(http.DefaultClient, "http://"+s.rpc["user"], s.as("operator"))
}

// Events is the door of somebody on call, at a replica of user or note.
func (s *Spread) Events(replica string) adminv1connect.EventServiceClient {
	return adminv1connect.NewEventServiceClient(http.DefaultClient, "http://"+s.rpc[replica], s.as("admin"))
}

// as introduces a caller.
func (s *Spread) as(caller string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+s.callers[caller])
			return next(ctx, req)
		}
	}))
}
