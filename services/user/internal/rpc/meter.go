package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/note/v1/notev1connect"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

// Meter asks the note service; it is a workspace.Meter.
type Meter struct {
	usage notev1connect.UsageServiceClient
}

// NewMeter asks the note service at cfg.URL.
func NewMeter(cfg rpc.Config, tel *telemetry.Telemetry) *Meter {
	client, options := rpc.NewClient(cfg, tel)
	return &Meter{usage: notev1connect.NewUsageServiceClient(client, cfg.URL, options...)}
}

// Usage is what a workspace holds.
func (m *Meter) Usage(ctx context.Context, id tenant.ID) (workspace.Usage, error) {
	const patience = 2 * time.Second // of the whole call, tries included: the answer is worth more than the figure
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := m.usage.GetUsage(ctx, connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: string(id)}))
	if err != nil {
		return workspace.Usage{}, err
	}
	used := workspace.Usage{Notes: res.Msg.GetNotes(), Bytes: res.Msg.GetBytes()}
	if at := res.Msg.GetAsOf(); at != nil {
		used.AsOf = at.AsTime()
	}
	return used, nil
}
