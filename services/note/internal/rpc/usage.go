// Package rpc is the note service's side of the internal calls: the procedures it answers, and the directory that it asks. Errors keep their kind
// and code on both ways. Imports connect, the generated clients and handlers, the kit's rpc and its domain.
package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/note/v1/notev1connect"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/note/internal/note"
)

// Meter knows what a workspace holds.
type Meter interface {
	Usage(ctx context.Context, workspace note.WorkspaceID) (note.Usage, error)
}

// MountUsage answers UsageService to the user service.
func MountUsage(s *rpc.Server, meter Meter, now func() time.Time) {
	s.Mount(notev1connect.NewUsageServiceHandler(usage{meter, now}, s.Options()...))
	s.Allow("user", notev1connect.UsageServiceGetUsageProcedure)
}

type usage struct {
	meter Meter
	now   func() time.Time
}

// GetUsage is the procedure.
func (u usage) GetUsage(ctx context.Context, req *connect.Request[notev1.GetUsageRequest]) (*connect.Response[notev1.Usage], error) {
	asOf := u.now()
	held, err := u.meter.Usage(ctx, note.WorkspaceID(req.Msg.GetWorkspaceId()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&notev1.Usage{Notes: held.Notes, Bytes: held.Bytes, AsOf: timestamppb.New(asOf)}), nil
}
