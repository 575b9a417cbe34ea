package server_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/note/v1/notev1connect"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	"noteworks.dev/services/api/gen/user/v1/userv1connect"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/server"
)

func (w *world) applyMessage(m *workspacev1.ApplyWorkspaceRequest) (*workspacev1.Workspace, error) {
	w.t.Helper()
	res, err := w.operator().ApplyWorkspace(w.t.Context(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func TestApplyingAWorkspaceTwiceTellsOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := wanted(newID(t), "acme")
	var first, again *workspacev1.Workspace
	var err error
	events := w.since(func() {
		if first, err = w.applyMessage(m); err != nil {
			t.Fatal(err)
		}
	})
	requireTypes(t, events, "workspace.v1.WorkspaceApplied user.v1.UserRegistered")
	if d := events[0].Data; d["workspaceId"] != m.GetWorkspaceId() || d["slug"] != "acme" || d["title"] != "The acme" || d["version"] != 1.0 {
		t.Errorf("told %v", d)
	}
	if d := events[1].Data; d["role"] != "owner" || d["userId"] != first.GetOwnerId() {
		t.Errorf("told %v", d)
	}
	before := w.rowVersions()
	events = w.since(func() {
		if again, err = w.applyMessage(m); err != nil {
			t.Fatal(err)
		}
	})
	if len(events) != 0 || !proto.Equal(first, again) || w.rowVersions() != before {
		t.Errorf("again: told %q, answered %v, rows %s", types(events), again, w.rowVersions())
	}
	w.owner("acme").get("/api/v1/me").require(t, http.StatusOK)
}

// rowVersions changes with any write to a workspace, slug, person or invitation.
func (w *world) rowVersions() string {
	w.t.Helper()
	var all string
	const query = `select string_agg(v, ' ' order by v) from (
		select xmin::text || ctid::text as v from workspaces union all select xmin::text || ctid::text from slugs union all select xmin::text || ctid::text from people
		union all select xmin::text || ctid::text from invitations) as rows`
	if err := w.db.Superuser.QueryRow(w.t.Context(), query).Scan(&all); err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestAChangedWorkspaceIsToldWhole(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := wanted(newID(t), "acme")
	if _, err := w.applyMessage(m); err != nil {
		t.Fatal(err)
	}
	m.Slug, m.Title, m.Owner = "rockets", "", nil // the owner is only needed once
	events := w.since(func() {
		if _, err := w.applyMessage(m); err != nil {
			t.Fatal(err)
		}
	})
	requireTypes(t, events, "workspace.v1.WorkspaceApplied")
	if d := events[0].Data; d["slug"] != "rockets" || d["title"] != "rockets" || d["version"] != 2.0 {
		t.Errorf("told %v", d)
	}
	w.browser("acme").get("/api/v1/workspace").refused(t, http.StatusNotFound, "workspace-not-found")
	var here struct{ ID, Slug, Title, SignUp string }
	w.browser("rockets").get("/api/v1/workspace").require(t, http.StatusOK).decode(t, &here)
	if here.ID != m.GetWorkspaceId() || here.Slug != "rockets" || here.SignUp != "open" {
		t.Errorf("the workspace says %+v", here)
	}
	w.apply("acme") // is free for another
}

func TestManyApplyTheSameWorkspaceAtOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	m := wanted(newID(t), "acme")
	events := w.since(func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := w.operator().ApplyWorkspace(t.Context(), connect.NewRequest(m)); err != nil {
					t.Errorf("apply: %v", err)
				}
			})
		}
		all.Wait()
	})
	requireTypes(t, events, "workspace.v1.WorkspaceApplied user.v1.UserRegistered")
}

func TestASlugBelongsToOneWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.apply("acme")
	events := w.since(func() {
		_, err := w.applyMessage(wanted(newID(t), "acme"))
		if errs.CodeOf(err) != "slug-taken" || codeOf(err) != connect.CodeFailedPrecondition || errs.As(err).Field != "slug" {
			t.Errorf("the second gets %v", err)
		}
	})
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
	if n := w.db.Count(t, "select count(*) from workspaces"); n != 2 {
		t.Errorf("%d workspaces", n)
	}
	w.requireQuiet()
}

func TestOddWorkspacesAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	good := wanted(newID(t), "acme")
	events := w.since(func() {
		for name, c := range map[string]struct {
			change      func(*workspacev1.ApplyWorkspaceRequest)
			code, field string
		}{
			"no id":                           {func(m *workspacev1.ApplyWorkspaceRequest) { m.WorkspaceId = "" }, "invalid-workspace-id", "workspace_id"},
			"no UUID":                         {func(m *workspacev1.ApplyWorkspaceRequest) { m.WorkspaceId = "acme" }, "invalid-workspace-id", "workspace_id"},
			"nil UUID":                        {func(m *workspacev1.ApplyWorkspaceRequest) { m.WorkspaceId = "00000000-0000-0000-0000-000000000000" }, "invalid-workspace-id", "workspace_id"},
			"another spelling":                {func(m *workspacev1.ApplyWorkspaceRequest) { m.WorkspaceId = strings.ToUpper(m.GetWorkspaceId()) }, "invalid-workspace-id", "workspace_id"},
			"SQL as id":                       {func(m *workspacev1.ApplyWorkspaceRequest) { m.WorkspaceId = "'; drop table people --" }, "invalid-workspace-id", "workspace_id"},
			"no slug":                         {func(m *workspacev1.ApplyWorkspaceRequest) { m.Slug = "" }, "invalid-slug", "slug"},
			"a wildcard":                      {func(m *workspacev1.ApplyWorkspaceRequest) { m.Slug = "*" }, "invalid-slug", "slug"},
			"253 characters":                  {func(m *workspacev1.ApplyWorkspaceRequest) { m.Slug = strings.Repeat("a", 253) }, "invalid-slug", "slug"},
			"reserved":                        {func(m *workspacev1.ApplyWorkspaceRequest) { m.Slug = "www" }, "slug-reserved", "slug"},
			"a long title":                    {func(m *workspacev1.ApplyWorkspaceRequest) { m.Title = strings.Repeat("a", 101) }, "invalid-title", "title"},
			"a title of lines":                {func(m *workspacev1.ApplyWorkspaceRequest) { m.Title = "a\nb" }, "invalid-title", "title"},
			"no owner":                        {func(m *workspacev1.ApplyWorkspaceRequest) { m.Owner = nil }, "owner-missing", "owner"},
			"no owner's email":                {func(m *workspacev1.ApplyWorkspaceRequest) { m.Owner.Email = "x" }, "invalid-email", "owner.email"},
			"no owner's name":                 {func(m *workspacev1.ApplyWorkspaceRequest) { m.Owner.Name = "" }, "name-missing", "owner.name"},
			"an administrator of lines":       {func(m *workspacev1.ApplyWorkspaceRequest) { m.Administrator = "a\nb" }, "invalid-administrator", "administrator"},
			"a long name of an administrator": {func(m *workspacev1.ApplyWorkspaceRequest) { m.Administrator = strings.Repeat("a", 513) }, "invalid-administrator", "administrator"},
			"a common password":               {func(m *workspacev1.ApplyWorkspaceRequest) { m.Owner.InitialPassword = "1234567890" }, "password-too-common", "owner.initial_password"},
		} {
			m, ok := proto.Clone(good).(*workspacev1.ApplyWorkspaceRequest)
			if !ok {
				t.Fatal("a clone of another kind")
			}
			c.change(m)
			_, err := w.applyMessage(m)
			if errs.CodeOf(err) != c.code || errs.As(err).Field != c.field || codeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("%s: %v; want %s of %s", name, err, c.code, c.field)
			}
		}
	})
	if len(events) != 0 {
		t.Errorf("told %s", types(events))
	}
	w.requireQuiet()
}

func TestADeletedWorkspaceIsGone(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	ann := w.browser("acme")
	ann.register("Ann").require(t, http.StatusCreated)
	del := func() {
		t.Helper()
		if _, err := w.operator().DeleteWorkspace(t.Context(), connect.NewRequest(&workspacev1.DeleteWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()})); err != nil {
			t.Fatal(err)
		}
	}
	events := w.since(func() { del(); del() })
	requireTypes(t, events, "workspace.v1.WorkspaceDeleted")
	if events[0].Data["workspaceId"] != acme.GetWorkspaceId() || events[0].Workspace != acme.GetWorkspaceId() {
		t.Errorf("told %+v", events[0])
	}
	ann.get("/api/v1/me").refused(t, http.StatusUnauthorized, "session-ended")
	ann.refresh().refused(t, http.StatusNotFound, "workspace-not-found")
	_, err := w.operator().GetWorkspace(t.Context(), connect.NewRequest(&workspacev1.GetWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}))
	if errs.CodeOf(err) != "workspace-not-found" || codeOf(err) != connect.CodeNotFound {
		t.Errorf("asked for it: %v", err)
	}
	for _, table := range []string{"people", "sessions", "slugs"} {
		if n := w.db.Count(t, "select count(*) from "+table+" where workspace_id = $1", acme.GetWorkspaceId()); n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
	w.apply("acme") // the slug is free
	w.owner("default").get("/api/v1/me").require(t, http.StatusOK)
}

func TestAHostWithoutAWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, host := range []string{"nobody.localhost:8080", "example.org", "default.example.org", "a.default.localhost", "10.1.2.3", "default_.localhost"} {
		b := w.browser("default")
		b.host = host
		b.get("/api/v1/workspace").refused(t, http.StatusNotFound, "workspace-not-found")
		b.login(ownerEmail("default"), password).refused(t, http.StatusNotFound, "workspace-not-found")
		b.register("Ann").refused(t, http.StatusNotFound, "workspace-not-found")
		b.refresh().refused(t, http.StatusNotFound, "workspace-not-found")
	}
	for _, host := range []string{"localhost", "127.0.0.1:8080", "DEFAULT.localhost:8080", "localhost."} {
		b := w.browser("default")
		b.host = host
		b.get("/api/v1/workspace").require(t, http.StatusOK)
	}
}

// notes is a note service that says what it is asked to.
type notes struct {
	notev1connect.UnimplementedUsageServiceHandler

	answer func(context.Context) (*notev1.Usage, error)
}

func (n notes) GetUsage(ctx context.Context, _ *connect.Request[notev1.GetUsageRequest]) (*connect.Response[notev1.Usage], error) {
	u, err := n.answer(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(u), nil
}

func startNotes(t *testing.T, answer func(context.Context) (*notev1.Usage, error)) change {
	t.Helper()
	callers, err := rpc.NewStaticCallers("user=" + noteToken)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(callers, telemetry.Discard())
	s.Mount(notev1connect.NewUsageServiceHandler(notes{answer: answer}, s.Options()...))
	s.Allow("user", notev1connect.UsageServiceGetUsageProcedure)
	h := httpserver.New("note", "127.0.0.1:0", s, telemetry.Discard(), httpserver.WithH2C())
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	return func(c *server.Config) { c.NoteURL, c.NoteToken = "http://"+h.Addr(), noteToken }
}

func (w *world) usage(id string) *workspacev1.Usage {
	w.t.Helper()
	res, err := w.operator().GetWorkspace(w.t.Context(), connect.NewRequest(&workspacev1.GetWorkspaceRequest{WorkspaceId: id}))
	if err != nil {
		w.t.Fatal(err)
	}
	return res.Msg.GetUsage()
}

func TestUsageComesFromBothServices(t *testing.T) {
	t.Parallel()
	at := timestamppb.New(time.Unix(1_700_000_000, 0))
	w := startWorld(t, startNotes(t, func(context.Context) (*notev1.Usage, error) {
		return &notev1.Usage{Notes: 7, Bytes: 1 << 40, AsOf: at}, nil
	}))
	acme := w.apply("acme")
	ann := w.browser("acme")
	ann.register("Ann").require(t, http.StatusCreated)
	w.owner("acme").post("/api/v1/users/"+ann.user.ID+"/deactivate", nil).require(t, http.StatusNoContent)
	w.browser("acme").register("Bob").require(t, http.StatusCreated)
	if u := w.usage(acme.GetWorkspaceId()); u.GetMembers() != 2 || u.GetNotes() != 7 || u.GetBytes() != 1<<40 || !proto.Equal(u.GetAsOf(), at) {
		t.Errorf("usage %v", u)
	}
}

func TestANoteServiceThatIsAwayCostsTheUsageOnly(t *testing.T) {
	t.Parallel()
	away := errs.Unavailable("away", "")
	for name, c := range map[string]change{
		"not configured": func(*server.Config) {},
		"not listening":  func(c *server.Config) { c.NoteURL, c.NoteToken = "http://127.0.0.1:1", noteToken },
		"unavailable":    startNotes(t, func(context.Context) (*notev1.Usage, error) { return nil, away }),
		"failing":        startNotes(t, func(context.Context) (*notev1.Usage, error) { return nil, errs.Internal("x", "") }),
		"hanging":        startNotes(t, func(ctx context.Context) (*notev1.Usage, error) { <-ctx.Done(); return nil, ctx.Err() }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, c)
			acme := w.apply("acme")
			if u := w.usage(acme.GetWorkspaceId()); u.GetMembers() != 1 || u.GetAsOf() != nil {
				t.Errorf("usage %v", u)
			}
		})
	}
}

func TestTheDirectoryKnowsPeopleOfItsWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	ann, gus := w.browser("acme"), w.browser("acme")
	ann.register("Ann").require(t, http.StatusCreated)
	gus.register("Gus").require(t, http.StatusCreated)
	w.owner("acme").post("/api/v1/users/"+gus.user.ID+"/deactivate", nil).require(t, http.StatusNoContent)
	here := acme.GetWorkspaceId()
	client, options := rpc.NewClient(rpc.Config{URL: "http://" + w.server.RPCAddr(), Token: noteToken, Timeout: patience}, telemetry.Discard())
	t.Cleanup(client.CloseIdleConnections)
	directory := userv1connect.NewDirectoryServiceClient(client, "http://"+w.server.RPCAddr(), options...)
	find := func(in, email string) (*userv1.Person, error) {
		res, err := directory.FindPersonByEmail(t.Context(), connect.NewRequest(&userv1.FindPersonByEmailRequest{WorkspaceId: in, Email: email}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	}
	get := func(in, id string) (*userv1.Person, error) {
		res, err := directory.GetPerson(t.Context(), connect.NewRequest(&userv1.GetPersonRequest{WorkspaceId: in, UserId: id}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	}

	if p, err := find(here, " ANN@example.org"); err != nil || p.GetUserId() != ann.user.ID || p.GetName() != "Ann" || !p.GetActive() || p.GetVersion() != 1 {
		t.Errorf("found %v, %v", p, err)
	}
	if p, err := get(here, gus.user.ID); err != nil || p.GetActive() || p.GetVersion() != 2 {
		t.Errorf("got %v, %v", p, err)
	}
	other := newID(t)
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"someone deactivated, by address": {second(find(here, "gus@example.org")), "not-found"},
		"nobody":                          {second(find(here, "nobody@example.org")), "not-found"},
		"no address":                      {second(find(here, "nobody")), "invalid-email"},
		"in another workspace":            {second(find(other, "ann@example.org")), "not-found"},
		"in no workspace":                 {second(find("x", "ann@example.org")), "invalid-workspace-id"},
		"by id in another workspace":      {second(get(other, ann.user.ID)), "not-found"},
		"by another spelling":             {second(get(here, strings.ToUpper(ann.user.ID))), "not-found"},
	} {
		if errs.CodeOf(c.err) != c.code {
			t.Errorf("%s: %v, want %s", name, c.err, c.code)
		}
	}
	w.requireQuiet()
}

func second[T any](_ T, err error) error { return err }

// TestTheDeadlineShrinksOnItsWay: the operator's, then the user service's, then the note service's.
func TestTheDeadlineShrinksOnItsWay(t *testing.T) {
	t.Parallel()
	seen := make(chan time.Duration, 10)
	w := startWorld(t, startNotes(t, func(ctx context.Context) (*notev1.Usage, error) {
		end, ok := ctx.Deadline()
		if !ok {
			t.Error("the last hop has no deadline")
		}
		seen <- time.Until(end)
		return &notev1.Usage{}, nil
	}))
	acme := w.apply("acme")
	for len(seen) > 0 { // those of applying
		<-seen
	}
	for _, given := range []time.Duration{time.Second, 5 * time.Second} {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		_, err := w.operator().GetWorkspace(ctx, connect.NewRequest(&workspacev1.GetWorkspaceRequest{WorkspaceId: acme.GetWorkspaceId()}))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if left := <-seen; left <= 0 || left >= min(given, 2*time.Second) {
			t.Errorf("of %s the last hop had %s", given, left)
		}
	}
}
