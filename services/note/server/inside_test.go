package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/note/v1/notev1connect"
	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/note/server"
)

func usageClient(addr, token string, client *http.Client, options ...connect.ClientOption) notev1connect.UsageServiceClient {
	introduce := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, r)
		}
	})
	return notev1connect.NewUsageServiceClient(client, "http://"+addr, append(options, connect.WithInterceptors(introduce))...)
}

// h2c is a client that speaks HTTP/2 without TLS, as gRPC does inside.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	ann.writes("1", "12345")
	ann.writes("2", "äö")
	gone := ann.writes("3", "123")
	ann.do("DELETE", notes+"/"+gone.Id, nil).want(http.StatusNoContent)
	w.personOf(newID(), "Elsewhere").writes("4", "12345678")

	ask := connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: w.workspace})
	for name, client := range map[string]notev1connect.UsageServiceClient{
		"Connect":  usageClient(w.srv.RPCAddr(), operatorToken, http.DefaultClient),
		"gRPC":     usageClient(w.srv.RPCAddr(), operatorToken, h2c(t), connect.WithGRPC()),
		"gRPC-Web": usageClient(w.srv.RPCAddr(), operatorToken, http.DefaultClient, connect.WithGRPCWeb()),
	} {
		res, err := client.GetUsage(t.Context(), ask)
		if err != nil || res.Msg.GetNotes() != 2 || res.Msg.GetBytes() != 12 || res.Msg.GetAsOf() == nil {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
	conn, err := grpc.NewClient(w.srv.RPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var got notev1.Usage
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+operatorToken)
	if err := conn.Invoke(ctx, notev1connect.UsageServiceGetUsageProcedure, ask.Msg, &got); err != nil || got.GetNotes() != 2 {
		t.Errorf("gRPC's own client: %v, %v", &got, err)
	}

	for token, want := range map[string]connect.Code{"not a token of anybody": connect.CodeUnauthenticated, "": connect.CodeUnauthenticated} {
		_, err := usageClient(w.srv.RPCAddr(), token, http.DefaultClient).GetUsage(t.Context(), ask)
		if connect.CodeOf(err) != want {
			t.Errorf("with token %q: %v", token, err)
		}
	}
	_, err = usageClient(w.srv.RPCAddr(), operatorToken, http.DefaultClient).GetUsage(t.Context(), connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: "x"}))
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("of no workspace: %v", err)
	}
	empty, err := usageClient(w.srv.RPCAddr(), operatorToken, http.DefaultClient).GetUsage(t.Context(), connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: newID()}))
	if err != nil || empty.Msg.GetNotes() != 0 || empty.Msg.GetBytes() != 0 {
		t.Errorf("of an empty workspace: %v, %v", empty, err)
	}
}

func TestThePublicPortAnswersNoCall(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	ann.do("POST", notev1connect.UsageServiceGetUsageProcedure, `{}`).problem(http.StatusNotFound, "not-found")
	_, err := usageClient(w.srv.HTTPAddr(), operatorToken, http.DefaultClient).GetUsage(t.Context(), connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: w.workspace}))
	if err == nil {
		t.Fatal("the public port answers calls")
	}
	for _, path := range []string{"/metrics", "/livez", "/readyz", "/.well-known/jwks.json"} {
		ann.do("GET", path, nil).problem(http.StatusNotFound, "not-found")
	}
}

// While the directory thinks, nothing is locked; and it has less time than we have.
func TestNothingWaitsForTheDirectoryWithALock(t *testing.T) {
	t.Parallel()
	w := startWorld(t, func(c *server.Config) { c.User.Timeout = time.Minute })
	ann, bob := w.person("Ann"), w.stranger("Bob")
	n := ann.writes("Plan", "")
	asked, answered := make(chan time.Duration, 1), make(chan struct{})
	w.user.during(func(ctx context.Context) {
		deadline, _ := ctx.Deadline()
		asked <- time.Until(deadline)
		<-answered
	})
	done := make(chan answer, 1)
	go func() {
		done <- ann.do("PUT", notes+"/"+n.Id+"/shares/"+bob.id, map[string]any{"role": "viewer"})
	}()
	if left := <-asked; left <= 0 || left >= 10*time.Second {
		t.Errorf("the directory has %s; the request has 10 s", left)
	}
	eventually(t, "a moment without an open transaction", func() bool { // consumers have short ones
		return w.db.Count(t, "select count(*) from pg_stat_activity where datname = current_database() and usename = 'noteworks_app' and state like 'idle in%'") == 0
	})
	ann.changes(n, map[string]any{"title": "Meanwhile"})
	close(answered)
	(<-done).want(http.StatusOK)
}

func TestWithoutNATSEverybodyGoesOn(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	w.nats.Down(t)
	n := ann.writes("Plan", "")
	ann.shares(n.Id, bob, "editor")
	n = bob.changes(n, map[string]any{"title": "Plan B"})
	w.requireReady(http.StatusOK)
	w.restart() // also at start, although a new process is only ready once it has reached NATS, or has waited long enough
	w.requireReady(http.StatusServiceUnavailable)
	n = bob.changes(n, map[string]any{"title": "Plan C"})
	w.nats.Up(t)
	w.indexed(n)
	w.requireReady(http.StatusOK)
	if got := ann.finds("plan c"); len(got) != 1 {
		t.Fatalf("found %v", got)
	}
	var versions []int32
	for _, e := range allAbout[*notev1.NoteChanged](w.heard, n.Id, 2) {
		versions = append(versions, decode[*notev1.NoteChanged](t, e).GetVersion())
	}
	if len(versions) != 2 || versions[0] != 2 || versions[1] != 3 {
		t.Fatalf("versions heard: %v", versions)
	}
}

// A new replica has the keys of everybody's tokens before it is ready, so that the user service may go away as soon as it is.
func TestAReplicaIsReadyWithTheKeysOfTokensAndNeedsTheUserServiceNoMore(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	w.restart()
	w.untilReady()
	w.user.CloseClientConnections()
	w.user.Close()
	n := ann.writes("Plan", "")
	ann.changes(n, map[string]any{"title": "Plan B"})
	w.requireReady(http.StatusOK)
	w.restart()
	eventually(t, "waiting for the keys alone", func() bool {
		status, why := w.readiness()
		return status == http.StatusServiceUnavailable && strings.Contains(why, "keys of access tokens") && !strings.Contains(why, "NATS")
	})
}

func (w *world) untilReady() {
	w.t.Helper()
	eventually(w.t, "readiness", func() bool { status, _ := w.readiness(); return status == http.StatusOK })
}

func (w *world) requireReady(status int) {
	w.t.Helper()
	if got, why := w.readiness(); got != status {
		w.t.Fatalf("readyz: %d %s", got, why)
	}
}

// readiness is what the replica says of itself.
func (w *world) readiness() (status int, why string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+w.srv.OpsAddr()+"/readyz", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// A stop lets running requests end, and a second one changes nothing.
func TestAStopLosesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	release := w.locks(rowOf, n.Id)
	changed, stopped := make(chan answer, 1), make(chan struct{})
	go func() {
		changed <- ann.do("PATCH", notes+"/"+n.Id, map[string]any{"title": "last"}, ifMatch(1))
	}()
	eventually(t, "the request", func() bool { return w.waiting() > 0 })
	go func() {
		defer close(stopped)
		stop(t, w.srv)
	}()
	eventually(t, "the end of listening", func() bool {
		conn, err := net.DialTimeout("tcp", w.srv.HTTPAddr(), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	release()
	if got := read[noterest.Note]((<-changed).want(http.StatusOK)); got.Title != "last" {
		t.Fatalf("%+v", got)
	}
	<-stopped
	stop(t, w.srv)
	about[*notev1.NoteChanged](w.heard, n.Id) // it went out before the end
	if strings.Contains(w.logs.String(), `"level":"ERROR"`) {
		t.Errorf("errors:\n%s", w.logs)
	}
}

// Round trips are where the time of a change goes.
func TestAChangeIsTwoRoundTripsAndTheNextByTheSamePersonOne(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	for _, want := range [][]string{{"batch", "batch"}, {"batch"}} {
		w.spans.Reset()
		n = ann.changes(n, map[string]any{"body": "text " + strconv.Itoa(len(want))})
		request := w.spans.RequirePath(t, "PATCH /api/v1/notes/{id}")[0]
		var statements []string
		for _, s := range w.spans.Spans() {
			if s.Parent().SpanID() == request.SpanContext().SpanID() && s.SpanKind() == trace.SpanKindClient {
				statements = append(statements, s.Name())
			}
		}
		if !slices.Equal(statements, want) {
			t.Errorf("%q, not %q", statements, want)
		}
	}
}
