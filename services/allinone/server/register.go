package server

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/api/gen/workspace/v1/workspacev1connect"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
)

// applyWorkspaces stands where the operator stands on a cluster, and makes the same call.
func (s *Server) applyWorkspaces(ctx context.Context) error {
	tel, err := telemetry.New(ctx, "operator", environment(nil, s.lookup), s.logs)
	if err != nil {
		return err
	}
	s.onStop("the operator's telemetry", tel.Shutdown)
	url, token := s.UserRPC()
	const patience = 10 * time.Second // of a laptop that is busy; it hashes a password
	httpClient, options := rpc.NewClient(rpc.Config{URL: url, Token: config.Secret(token), Timeout: patience}, tel)
	workspaces := workspacev1connect.NewWorkspaceServiceClient(httpClient, url, options...)
	for _, w := range s.options.Workspaces {
		r := s.secrets.Workspaces[w.Slug]
		_, err := workspaces.ApplyWorkspace(ctx, connect.NewRequest(&workspacev1.ApplyWorkspaceRequest{
			WorkspaceId: r.ID,
			Slug:        w.Slug,
			Title:       w.Title,
			Owner:       &workspacev1.Owner{Email: r.Email, Name: "Owner", InitialPassword: r.Password},
		}))
		if err != nil {
			return fmt.Errorf("apply workspace %s: %w", w.Slug, err)
		}
	}
	return nil
}

// welcome says where the app is and how to sign in. Programs read the first three fields too: see test/local.
func (s *Server) welcome(out io.Writer) {
	say(out, "\nNoteworks is running.\n")
	for _, w := range s.options.Workspaces {
		email, password := s.Owner(w.Slug)
		_, _ = fmt.Fprintf(out, "  URL       %s\n  E-mail    %s\n  Password  %s\n\n", s.url(w.Slug), email, password)
	}
	_, _ = fmt.Fprintf(out, "The owners' first passwords are kept in %s. Ctrl-C stops everything; the data stays in %s.\n",
		filepath.Join(s.options.Data, "secrets.json"), s.options.Data)
}
