package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"noteworks.dev/services/api/gen/admin/v1/adminv1connect"
)

// patience bounds a call; a service gives up itself after ten seconds.
const patience = 15 * time.Second

// target is one service that is asked.
type target struct {
	adminv1connect.EventServiceClient
	url string
	// here is the data directory that it runs on, empty for one on a cluster.
	here string
}

// targets are the services that a command is for: of those that run here both, of those on a cluster the one that was named.
func (o *options) targets() ([]target, error) {
	if o.server != "" {
		u, err := url.Parse(o.server)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, misused("--server %q is not a URL: it should be one such as http://localhost:8082", o.server)
		}
		token, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token: %w", err)
		}
		return []target{newTarget(strings.TrimSuffix(o.server, "/"), strings.TrimSpace(string(token)), "")}, nil
	}
	access, err := readAccess(o.data)
	if err != nil {
		return nil, err
	}
	var all []target
	for _, service := range slices.Sorted(maps.Keys(access.Services)) {
		all = append(all, newTarget(access.Services[service], access.Token, o.data))
	}
	return all, nil
}

func newTarget(address, token, here string) target {
	introduce := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	})
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return target{adminv1connect.NewEventServiceClient(client, address, connect.WithInterceptors(introduce)), address, here}
}

// explain is what a person can do about err.
func (t target) explain(err error) error {
	var c *connect.Error
	if err == nil || !errors.As(err, &c) {
		return err
	}
	switch {
	case c.Code() == connect.CodeUnauthenticated:
		return fmt.Errorf("%s does not take the token: it has expired, was made for another audience, or for an account that is not the admin there "+
			"(the values user.rpc.callers.admin and note.rpc.callers.admin)", t.url)
	case c.Code() == connect.CodePermissionDenied:
		return fmt.Errorf("%s knows whose token this is, and does not let them do that: %s", t.url, c.Message())
	case c.Code() == connect.CodeUnimplemented:
		return fmt.Errorf("%s does not know this call: is it the internal port (8082) of user or note, and of this version?", t.url)
	case connect.IsWireError(err):
		return errors.New(c.Message())
	case t.here != "":
		return fmt.Errorf("nothing answers at %s: the Noteworks on the data directory %q is not running any more, or hangs (%w)", t.url, t.here, err)
	}
	return fmt.Errorf("nothing answers at %s: is the port-forward open, and the pod running? (%w)", t.url, err)
}

// notThere reports whether err says that the target has no such thing.
func notThere(err error) bool { return connect.CodeOf(err) == connect.CodeNotFound }

// ask asks each target in turn. Those that have no such thing are passed over, unless all say so.
func ask[T any](s *session, question func(target) (T, error)) ([]T, error) {
	var (
		answers []T
		missing []string
	)
	for _, t := range s.targets {
		answer, err := question(t)
		if notThere(err) {
			missing = append(missing, t.explain(err).Error())
			continue
		}
		if err != nil {
			return answers, t.explain(err)
		}
		answers = append(answers, answer)
	}
	if len(answers) == 0 {
		return nil, errors.New(strings.Join(missing, " "))
	}
	return answers, nil
}
