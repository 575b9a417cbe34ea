package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/propagation"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	userv1 "noteworks.dev/services/api/gen/user/v1"
)

// browser is a client on the live socket.
type browser struct {
	w  *world
	ws *websocket.Conn
}

func (w *world) dialLive(header http.Header) (*browser, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://localhost/api/v1/live", &websocket.DialOptions{HTTPClient: w.client, HTTPHeader: header, Host: header.Get("Host")})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(4 << 20)
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	return &browser{w: w, ws: ws}, nil
}

func (w *world) live(p person, since string) *browser {
	w.t.Helper()
	b, err := w.dialLive(http.Header{"Origin": {"http://localhost"}})
	if err != nil {
		w.t.Fatal(err)
	}
	b.auth(p.token, since)
	return b
}

func (b *browser) auth(token, since string) {
	b.w.t.Helper()
	frame := map[string]string{"type": "auth", "token": token}
	if since != "" {
		frame["since"] = since
	}
	text, err := json.Marshal(frame)
	if err != nil {
		b.w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.ws.Write(ctx, websocket.MessageText, text); err != nil {
		b.w.t.Fatal(err)
	}
}

type frame struct {
	Type, Event, ID, Cursor, Code string
	Data                          json.RawMessage
}

func (b *browser) next() frame {
	b.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return b.nextBefore(ctx)
}

// nextBefore is next with the patience of ctx.
func (b *browser) nextBefore(ctx context.Context) frame {
	b.w.t.Helper()
	_, text, err := b.ws.Read(ctx)
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return frame{Type: "close", Code: closed.Reason}
	}
	if err != nil {
		b.w.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		b.w.t.Fatalf("%q: %v", text, err)
	}
	return f
}

func (b *browser) is(kind string) frame {
	b.w.t.Helper()
	f := b.next()
	if f.Type != kind {
		b.w.t.Fatalf("not %s but %+v", kind, f)
	}
	return f
}

func TestAShareReachesTheOtherBrowserInTheSameTrace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	bob := w.person(here)
	b := w.live(bob, "")
	b.is("ready")
	ctx, span := w.tel.Tracer().Start(t.Context(), "publish note.v1.NoteShared")
	carrier := propagation.MapCarrier{}
	w.tel.Propagator.Inject(ctx, carrier)
	span.End()
	sent := w.facts.publishIn(carrier["traceparent"], here, "n1", &notev1.NoteShared{NoteId: "n1", PersonId: bob.id, Role: "editor", Title: "Hello"}, bob.id)
	f := b.is("event")
	if f.Event != "note.v1.NoteShared" || f.ID != sent.ID || string(f.Data) != string(sent.Data) || strings.Contains(string(f.Data), "audience") {
		t.Errorf("%+v", f)
	}
	w.spans.RequirePath(t, "publish note.v1.NoteShared", "push note.v1.NoteShared")

	back := w.live(bob, f.Cursor)
	back.is("ready")
	w.facts.publish(here, "n1", &notev1.NotePinned{NoteId: "n1", PersonId: bob.id, Pinned: true}, bob.id)
	if f := back.is("event"); f.Event != "note.v1.NotePinned" {
		t.Errorf("%+v", f)
	}
}

func TestTheSocketIsForTheWorkspaceOfItsHost(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person(here)
	elsewhere, err := w.dialLive(http.Header{"Host": {"other.localhost"}, "Origin": {"http://other.localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.auth(ann.token, "")
	if f := elsewhere.is("error"); f.Code != "wrong-workspace" {
		t.Errorf("%+v", f)
	}
	if _, err := w.dialLive(http.Header{"Host": {"nowhere.localhost"}}); err == nil {
		t.Error("a socket at a host without a workspace")
	}
	if _, err := w.dialLive(http.Header{"Origin": {"https://evil.example"}}); err == nil {
		t.Error("a socket for a foreign page")
	}
	if a := w.call(http.MethodGet, "/api/v1/live?token="+ann.token, nil, nil); a.status != 400 || a.code != "query-not-allowed" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAnEndedSessionLosesItsSocketAndCannotComeBack(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person(here)
	b := w.live(ann, "")
	b.is("ready")
	begin := time.Now()
	w.facts.publish(here, ann.id, &userv1.UserDeactivated{UserId: ann.id, ActorId: "owner"})
	if f := b.is("error"); f.Code != "session-ended" {
		t.Errorf("%+v", f)
	}
	b.is("close")
	if took := time.Since(begin); took > 3*time.Second { // a busy machine
		t.Errorf("after %v", took)
	}
	again := w.live(ann, "")
	if f := again.is("error"); f.Code != "session-ended" {
		t.Errorf("%+v", f)
	}
}

func TestWithoutNATSTheRestWorksAndLiveComesBack(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person(here)
	b := w.live(ann, "")
	b.is("ready")
	w.nats.Down(t)
	if a := w.call(http.MethodGet, "/api/v1/notes", bearer(ann.token), nil); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.eventually("the metric that says so", func() bool { return w.metric("noteworks_live_degraded") == "1" })
	if a := w.ops("/readyz"); a != "ok\n" {
		t.Errorf("ready: %q", a)
	}
	w.nats.Up(t)
	begin := time.Now()
	w.facts.reopen()
	sent := w.facts.publish(here, "n1", &notev1.NoteDeleted{NoteId: "n1"}, ann.id)
	if f := b.is("event"); f.ID != sent.ID {
		t.Errorf("%+v", f)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("live after %v", took)
	}
	if got := w.metric("noteworks_live_degraded"); got != "0" {
		t.Errorf("degraded: %s", got)
	}
}

func TestStoppingWithManySockets(t *testing.T) {
	t.Parallel()
	const many = 2000
	w := startWorld(t)
	ann := w.person(here)
	var closed sync.WaitGroup
	restarts := make(chan string, many)
	for range many {
		b := w.live(ann, "")
		b.is("ready")
		closed.Go(func() {
			f := b.nextBefore(t.Context()) // on a busy machine it takes a while until all of them are there
			restarts <- f.Type + " " + f.Code
		})
	}
	if got := w.metric("noteworks_live_sockets"); got != "2000" {
		t.Errorf("%s sockets", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	begin := time.Now()
	if err := w.gateway.Stop(ctx); err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	closed.Wait()
	close(restarts)
	for r := range restarts {
		if r != "close restart" {
			t.Fatalf("%q", r)
		}
	}
	if took > 15*time.Second || took < 2*time.Second {
		t.Errorf("took %v", took)
	}
}
