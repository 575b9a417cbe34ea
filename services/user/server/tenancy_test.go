package server_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

func discard(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	return telemetry.Discard()
}

func TestAnotherWorkspacesPeopleAreNotThere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.apply("acme")
	stranger, ann := w.owner("acme"), w.signUp("Ann")
	before := w.rowVersions()
	events := w.since(func() {
		for _, b := range []*browser{stranger, {w: w, host: ann.host, addr: ann.addr, token: stranger.token}} { // at their own host, and at ours
			at := "/api/v1/users/" + ann.user.ID
			b.do(http.MethodDelete, at, nil).refused(t, http.StatusNotFound, "not-found")
			b.post(at+"/deactivate", nil).refused(t, http.StatusNotFound, "not-found")
			b.post(at+"/reactivate", nil).refused(t, http.StatusNotFound, "not-found")
			if l := b.list(t, "?email=ann@example.org"); len(l.Items) != 0 {
				t.Errorf("found %v", l.Items)
			}
			if l := b.list(t, ""); len(l.Items) != 1 {
				t.Errorf("listed %v", l.Items)
			}
			var me user
			b.get("/api/v1/me").require(t, http.StatusOK).decode(t, &me)
			if me.ID != stranger.user.ID {
				t.Errorf("became %s", me.Name)
			}
		}
	})
	if len(events) != 0 || w.rowVersions() != before {
		t.Errorf("told %q", types(events))
	}
}

func TestOneAddressInTwoWorkspacesIsTwoPeople(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.apply("acme")
	here, there := w.signUp("Ann"), w.browser("acme")
	there.register("Ann").require(t, http.StatusCreated)
	if here.user.ID == there.user.ID {
		t.Error("one person in two workspaces")
	}
}

// ears hear what is published.
type ears struct {
	mu     sync.Mutex
	events []event.Event
}

func (e *ears) has(name, id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.events, func(e event.Event) bool {
		return e.Type == name && (id == "" || string(e.Data) != "" && contains(e.Data, id))
	})
}

func contains(data []byte, id string) bool { return slices.Contains(words(data), id) }

// words are the texts between quotes.
func words(data []byte) []string {
	var all []string
	var word []byte
	in := false
	for _, c := range data {
		switch {
		case c == '"':
			if in {
				all = append(all, string(word))
			}
			word, in = nil, !in
		case in:
			word = append(word, c)
		}
	}
	return all
}

func (e *ears) all() []event.Event { e.mu.Lock(); defer e.mu.Unlock(); return slices.Clone(e.events) }

// listen follows the stream as the gateway does.
func (w *world) listen() *ears {
	w.t.Helper()
	bus := w.nats.Bus(w.t, "gateway", telemetry.Discard())
	heard := &ears{}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = bus.Tail(ctx, event.TailConfig{Streams: []string{event.StreamUser}, Since: time.Hour}, func(e event.Event) {
			heard.mu.Lock()
			defer heard.mu.Unlock()
			heard.events = append(heard.events, e)
		})
	}()
	w.t.Cleanup(func() { stop(); <-done })
	return heard
}

// TestEveryEventDecodes walks through everything that is told, and reads each event strictly as the message it is named by.
func TestEveryEventDecodes(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	heard := w.listen()
	owner, ann, bob := w.owner("default"), w.signUp("Ann"), w.signUp("Bob")
	ann.patch("/api/v1/me", map[string]string{"name": "Ann Lee"}).require(t, http.StatusOK)
	ann.post("/api/v1/auth/logout", nil).require(t, http.StatusNoContent)
	owner.post("/api/v1/users/"+ann.user.ID+"/deactivate", nil).require(t, http.StatusNoContent)
	owner.post("/api/v1/users/"+ann.user.ID+"/reactivate", nil).require(t, http.StatusNoContent)
	owner.do(http.MethodDelete, "/api/v1/users/"+bob.user.ID, nil).require(t, http.StatusNoContent)
	acme := w.apply("acme")
	if err := second(w.operator().DeleteWorkspace(t.Context(), deletion(acme.GetWorkspaceId()))); err != nil {
		t.Fatal(err)
	}
	w.eventually("the last event", func() bool { return heard.has("workspace.v1.WorkspaceDeleted", acme.GetWorkspaceId()) })
	w.eventually("all of them", func() bool { return len(heard.all()) >= len(w.told()) })

	seen := map[string]bool{}
	for _, e := range heard.all() {
		m, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
		if err != nil {
			t.Fatalf("%s: %v", e.Type, err)
		}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(e.Data, m.New().Interface()); err != nil {
			t.Errorf("%s: %v", e.Type, err)
		}
		if e.Source != "user" || len(e.Audience) != 0 || e.TraceParent == "" || e.ID == "" {
			t.Errorf("%s: source %q, audience %v, trace %q", e.Type, e.Source, e.Audience, e.TraceParent)
		}
		seen[e.Type] = true
	}
	for _, want := range []string{
		"workspace.v1.WorkspaceApplied", "workspace.v1.WorkspaceDeleted", "user.v1.UserRegistered", "user.v1.UserRenamed", "user.v1.UserDeactivated",
		"user.v1.UserReactivated", "user.v1.UserDeleted", "user.v1.SessionsRevoked",
	} {
		if !seen[want] {
			t.Errorf("%s was not heard", want)
		}
	}
}

func TestOneTraceFromTheRequestToTheEvent(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.signUp("Ann")
	w.spans.RequirePath(t, "POST /api/v1/auth/register", "publish user.v1.UserRegistered")
	w.spans.RequirePath(t, "workspace.v1.WorkspaceService/ApplyWorkspace", "publish workspace.v1.WorkspaceApplied")
	w.spans.RequirePath(t, "workspace.v1.WorkspaceService/ApplyWorkspace", "publish user.v1.UserRegistered")
}
