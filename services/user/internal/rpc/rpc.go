// Package rpc is the user service's internal API: workspaces for whoever administers them, and who is who for the other services.
// Imports connect, the generated code, the kit and the domain packages.
package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	userv1 "noteworks.dev/services/api/gen/user/v1"
	"noteworks.dev/services/api/gen/user/v1/userv1connect"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/wire"
	"noteworks.dev/services/user/internal/workspace"
)

// Callers of the procedures.
const (
	Operator = "operator"
	Note     = "note"
)

// Mount adds the procedures to s, and who may call them.
func Mount(s *rpc.Server, workspaces *workspace.Workspaces, people *person.People, tel *telemetry.Telemetry) {
	s.Mount(workspacev1connect.NewWorkspaceServiceHandler(&workspaceService{workspaces: workspaces, tel: tel}, s.Options()...))
	s.Mount(userv1connect.NewDirectoryServiceHandler(&directoryService{people: people}, s.Options()...))
	s.Allow(Operator,
		workspacev1connect.WorkspaceServiceApplyWorkspaceProcedure,
		workspacev1connect.WorkspaceServiceGetWorkspaceProcedure,
		workspacev1connect.WorkspaceServiceReleaseWorkspaceProcedure,
		workspacev1connect.WorkspaceServiceDeleteWorkspaceProcedure,
	)
	s.Allow(Note,
		userv1connect.DirectoryServiceFindPersonByEmailProcedure,
		userv1connect.DirectoryServiceGetPersonProcedure,
	)
}

type workspaceService struct {
	workspaces *workspace.Workspaces
	tel        *telemetry.Telemetry
}

func (s *workspaceService) ApplyWorkspace(
	ctx context.Context, req *connect.Request[workspacev1.ApplyWorkspaceRequest],
) (*connect.Response[workspacev1.Workspace], error) {
	wanted, err := wantedOf(req.Msg)
	if err != nil {
		return nil, err
	}
	applied, err := s.workspaces.Apply(ctx, wanted)
	if err != nil {
		return nil, err
	}
	s.tel.Log.InfoContext(ctx, "workspace applied", telemetry.WorkspaceID(applied.ID))
	return s.measured(ctx, applied)
}

func wantedOf(m *workspacev1.ApplyWorkspaceRequest) (workspace.Wanted, error) {
	id, err := tenantID(m.GetWorkspaceId())
	wanted := workspace.Wanted{
		ID: id, Slug: m.GetSlug(), Title: m.GetTitle(), Host: m.GetHost(), Administrator: m.GetAdministrator(), Policy: wire.ParsePolicy(m.GetPolicy()),
	}
	if o := m.GetOwner(); o != nil {
		wanted.Owner = &person.Newcomer{
			Email: o.GetEmail(), Name: o.GetName(), Password: o.GetInitialPassword(), PasswordField: "initial_password",
		}
	}
	return wanted, err
}

func (s *workspaceService) GetWorkspace(
	ctx context.Context, req *connect.Request[workspacev1.GetWorkspaceRequest],
) (*connect.Response[workspacev1.Workspace], error) {
	id, err := tenantID(req.Msg.GetWorkspaceId())
	if err != nil {
		return nil, err
	}
	found, err := s.workspaces.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.measured(ctx, found)
}

// measured is w with its usage.
func (s *workspaceService) measured(ctx context.Context, w workspace.Workspace) (*connect.Response[workspacev1.Workspace], error) {
	used, err := s.workspaces.Measure(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(messageOf(w, used)), nil
}

func (s *workspaceService) ReleaseWorkspace(
	ctx context.Context, req *connect.Request[workspacev1.ReleaseWorkspaceRequest],
) (*connect.Response[workspacev1.ReleaseWorkspaceResponse], error) {
	id, err := tenantID(req.Msg.GetWorkspaceId())
	if err != nil {
		return nil, err
	}
	if err := s.workspaces.Release(ctx, id); err != nil {
		return nil, err
	}
	s.tel.Log.InfoContext(ctx, "workspace released", telemetry.WorkspaceID(id))
	return connect.NewResponse(&workspacev1.ReleaseWorkspaceResponse{}), nil
}

func (s *workspaceService) DeleteWorkspace(
	ctx context.Context, req *connect.Request[workspacev1.DeleteWorkspaceRequest],
) (*connect.Response[workspacev1.DeleteWorkspaceResponse], error) {
	id, err := tenantID(req.Msg.GetWorkspaceId())
	if err != nil {
		return nil, err
	}
	if err := s.workspaces.Delete(ctx, id); err != nil {
		return nil, err
	}
	s.tel.Log.InfoContext(ctx, "workspace deleted", telemetry.WorkspaceID(id))
	return connect.NewResponse(&workspacev1.DeleteWorkspaceResponse{}), nil
}

func messageOf(w workspace.Workspace, used workspace.Usage) *workspacev1.Workspace {
	return &workspacev1.Workspace{
		WorkspaceId: string(w.ID), Slug: string(w.Slug), Title: w.Title, OwnerId: string(w.OwnerID), Version: w.Version,
		CreatedAt: timestamppb.New(w.CreatedAt), Host: w.Host, Policy: wire.Policy(w.Policy), ReleasedAt: stamp(w.ReleasedAt),
		Usage: &workspacev1.Usage{Members: w.Members, Notes: used.Notes, Bytes: used.Bytes, AsOf: stamp(used.AsOf)},
	}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

type directoryService struct{ people *person.People }

func (s *directoryService) FindPersonByEmail(
	ctx context.Context, req *connect.Request[userv1.FindPersonByEmailRequest],
) (*connect.Response[userv1.Person], error) {
	in, err := tenantID(req.Msg.GetWorkspaceId())
	if err != nil {
		return nil, err
	}
	return personOf(s.people.Find(ctx, in, req.Msg.GetEmail()))
}

func (s *directoryService) GetPerson(
	ctx context.Context, req *connect.Request[userv1.GetPersonRequest],
) (*connect.Response[userv1.Person], error) {
	in, err := tenantID(req.Msg.GetWorkspaceId())
	if err != nil {
		return nil, err
	}
	if !canonical(req.Msg.GetUserId()) {
		return nil, person.ErrNotFound
	}
	return personOf(s.people.Get(ctx, in, person.ID(req.Msg.GetUserId())))
}

func personOf(p person.Person, err error) (*connect.Response[userv1.Person], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&userv1.Person{UserId: string(p.ID), Name: string(p.Name), Active: p.Active, Version: p.Version}), nil
}

func tenantID(s string) (tenant.ID, error) {
	if !canonical(s) {
		return "", errs.Invalid("invalid-workspace-id", "workspace_id should be a UUID in lower case with hyphens.").WithField("workspace_id")
	}
	return tenant.ID(s), nil
}

func canonical(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s && id != uuid.Nil
}
