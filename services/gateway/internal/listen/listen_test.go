package listen_test

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/proto"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/gateway/internal/listen"
	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

func TestLifecycle(t *testing.T) { //nolint:paralleltest // compares goroutines
	bus := natstest.Start(t).Bus(t, "gateway", telemetry.Discard())
	warmUp(t, bus)
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle {
		return listen.New(bus, live.NewHub(live.Limits{}, time.Now), nil, telemetry.Discard())
	})
}

// warmUp lets the connection start what it starts at its first question.
func warmUp(t *testing.T, bus *event.Bus) {
	t.Helper()
	hub := live.NewHub(live.Limits{}, time.Now)
	l := listen.New(bus, hub, nil, telemetry.Discard())
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{}, 1)
	client := hub.NewClient(func() { ready <- struct{}{} }, func() {})
	if err := hub.Join(client, live.Identity{Person: "ann", Workspace: workspace, Expires: time.Now().Add(time.Hour)}, ""); err != nil {
		t.Fatal(err)
	}
	<-ready
	if err := l.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func changed(note, title string) *notev1.NoteChanged {
	return &notev1.NoteChanged{NoteId: note, Version: 2, ActorId: "ann", Title: proto.String(title)}
}

func TestAnEventReachesItsAudience(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.browser("ann", ""), w.browser("bob", "")
	ann.isReady()
	bob.isReady()
	forAnn := w.note.happen("n1", changed("n1", "hello"), "ann", "ann")
	forBoth := w.note.happen("n2", changed("n2", "hi"), "ann", "bob")
	renamed := w.user.happen("bob", &userv1.UserRenamed{UserId: "bob", Name: "Robert", Version: 2})
	f := ann.next()
	if f.ID != forAnn.ID || f.Event != "note.v1.NoteChanged" || string(f.Data) != string(forAnn.Data) {
		t.Errorf("%+v", f)
	}
	ann.wants(forBoth)
	ann.wants(renamed)
	bob.wants(forBoth)
	bob.wants(renamed)
}

func TestWhatIsNotForBrowsersStaysInside(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("ann", "")
	ann.isReady()
	w.user.happen("bob", &userv1.UserRegistered{UserId: "bob", Name: "Bob", Role: "member", Version: 1})
	w.user.happen("bob", &userv1.UserReactivated{UserId: "bob", Version: 2}, "ann")
	w.user.happen(workspace, &workspacev1.WorkspaceApplied{WorkspaceId: workspace, Slug: "here", Version: 1}, "ann")
	w.note.happen("n1", &notev1.NoteCreated{NoteId: "n1", Version: 1})
	last := w.user.happen("ann", &userv1.UserRenamed{UserId: "ann", Name: "Anne"})
	ann.wants(last)
	if id := <-w.changed; id != workspace {
		t.Errorf("%s changed", id)
	}
}

func TestASuspendedWorkspaceIsSeenAndSoIsItsReturn(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("ann", "")
	ann.isReady()
	w.user.happen(workspace, &workspacev1.WorkspaceApplied{WorkspaceId: workspace, Version: 2, Policy: &workspacev1.Policy{Suspended: true}})
	if f := ann.next(); f.Type != "error" || f.Code != live.CodeWorkspaceSuspended {
		t.Errorf("%+v", f)
	}
	if id := <-w.changed; id != workspace {
		t.Errorf("%s changed", id)
	}
	w.user.happen(workspace, &workspacev1.WorkspaceApplied{WorkspaceId: workspace, Version: 3})
	w.user.happen(workspace, &workspacev1.WorkspaceApplied{WorkspaceId: workspace, Version: 4})
	<-w.changed
	<-w.changed // heard of the last one: done with the one before it
	w.browser("ann", "").isReady()
}

func TestThePushEndsTheTraceOfItsChange(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("ann", "")
	ann.isReady()
	ctx, published := w.tel.Tracer().Start(t.Context(), "publish note.v1.NoteChanged")
	carrier := propagation.MapCarrier{}
	w.tel.Propagator.Inject(ctx, carrier)
	published.End()

	unheard := w.note.write("n1", changed("n1", "nobody listens"), "zoe")
	heard := w.note.write("n1", changed("n1", "hello"), "ann")
	unheard.TraceParent, heard.TraceParent = carrier["traceparent"], carrier["traceparent"]
	w.note.publish(unheard, heard)
	ann.wants(heard)

	w.spans.RequirePath(t, "publish note.v1.NoteChanged", "push note.v1.NoteChanged")
	var pushes []sdktrace.ReadOnlySpan
	for _, s := range w.spans.Spans() {
		if strings.HasPrefix(s.Name(), "push") {
			pushes = append(pushes, s)
		}
	}
	if len(pushes) != 1 {
		t.Fatalf("%d pushes", len(pushes))
	}
	links := pushes[0].Links()
	if len(links) != 1 || links[0].SpanContext.SpanID() != published.SpanContext().SpanID() {
		t.Errorf("links: %v", links)
	}
}

func TestUnsharedIsToldAndNothingAfterIt(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	bob := w.browser("bob", "")
	begin := bob.isReady().Cursor
	seen := w.note.happen("n1", changed("n1", "seen"), "ann", "bob")
	bob.wants(seen)
	unshared := w.note.happen("n1", &notev1.NoteUnshared{NoteId: "n1", PersonId: "bob", ActorId: "ann", Version: 3}, "ann", "bob")
	w.note.happen("n1", changed("n1", "secret"), "ann")
	other := w.note.happen("n2", changed("n2", "other"), "bob")
	bob.wants(unshared, other)

	back := w.browser("bob", begin)
	back.isReady()
	back.wants(unshared, other)
	trashed := w.note.happen("n2", &notev1.NoteTrashed{NoteId: "n2", ActorId: "cleo", Version: 4}, "bob", "cleo")
	back.wants(trashed)
	again := w.browser("bob", begin)
	again.isReady()
	again.wants(unshared, trashed)
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string]proto.Message{
		"revoked":             &userv1.SessionsRevoked{UserId: "ann", SessionIds: []string{"s-ann"}},
		"all revoked":         &userv1.SessionsRevoked{UserId: "ann"},
		"all but another one": &userv1.SessionsRevoked{UserId: "ann", KeepSessionId: "other"},
		"deactivated":         &userv1.UserDeactivated{UserId: "ann"},
		"deleted":             &userv1.UserDeleted{UserId: "ann"},
		"workspace deleted":   &workspacev1.WorkspaceDeleted{WorkspaceId: workspace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			ann := w.browser("ann", "")
			ann.isReady()
			w.user.happen("ann", msg)
			if f := ann.next(); f.Type != "error" || f.Code != live.CodeSessionEnded {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestAnEventThatCannotBeReadEndsNobodysSession(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("ann", "")
	ann.isReady()
	w.user.happen("ann", &userv1.SessionsRevoked{}) // lost its person
	broken := w.user.write("ann", &userv1.UserDeactivated{UserId: "ann"})
	broken.Data = []byte(`{"userId":`)
	renamed := w.user.write("ann", &userv1.UserRenamed{UserId: "ann"})
	renamed.Data = []byte(`{"userId"`)
	unshared := w.note.write("n1", &notev1.NoteUnshared{NoteId: "n1"}, "ann")
	unshared.Data = []byte(`{"noteId":[]}`)
	garbled := w.note.write("n1", changed("n1", ""), "ann")
	garbled.Data = []byte(`}`)
	w.user.publish(broken, renamed)
	w.note.publish(unshared, garbled)
	ann.wants(w.note.happen("n1", changed("n1", "still here"), "ann"))
}

func TestAnEventThatCannotBeReadIsNotMissed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.browser("ann", "")
	ann.isReady()
	other := "n2"
	for event.LaneOf(other) == event.LaneOf("n1") {
		other += "0"
	}
	ann.wants(w.note.happen("n1", changed("n1", "before"), "ann"))
	garbled := w.note.write("n1", changed("n1", ""), "ann")
	garbled.Data = []byte(`}`)
	w.note.publish(garbled)
	ann.wants(w.note.happen(other, changed(other, "of another lane"), "ann"))
}

func TestEndedSessionsAreKnownFromBeforeTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user.happen("ann", &userv1.SessionsRevoked{UserId: "ann", SessionIds: []string{"gone"}})
	w.note.ensure()
	w.listen()
	w.browser("bob", "").isReady()
	if !w.hub.Endings().Ended(live.Identity{Person: "ann", Session: "gone"}) {
		t.Error("the session is not known to have ended")
	}
}

func TestAReturningClientIsReplayedFromBeforeTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user.ensure()
	first := w.note.happen("n1", changed("n1", "1"), "ann")
	second := w.note.happen("n1", changed("n1", "2"), "ann")
	third := w.note.happen("n2", changed("n2", "3"), "ann")
	w.listen()
	since := cursorAfter(first)
	ann := w.browser("ann", since)
	ann.isReady()
	ann.wants(second, third)
}

// cursorAfter is what a browser had from another gateway that had seen the note service's outbox up to e.
func cursorAfter(e event.Event) string {
	at, err := event.ParseCursor(e.Cursor)
	if err != nil {
		panic(err)
	}
	return live.Cursor{live.NoteStream: live.Place(at)}.String()
}

func TestAnIdleStackKnowsThatNothingWasMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user.ensure()
	old := w.note.write("n1", changed("n1", "long ago"), "ann")
	w.note.publish(old)
	w.listen()
	ann := w.browser("ann", cursorAfter(old))
	if f := ann.isReady(); f.Cursor != cursorAfter(old) {
		t.Errorf("ready at %s, not %s", f.Cursor, cursorAfter(old))
	}
	ann.wants(w.note.happen("n1", changed("n1", "now"), "ann"))
}

func TestNATSComesLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nats.Down(t)
	w.listen()
	ann := w.browser("ann", "")
	w.nats.Up(t)
	w.user.ensure()
	w.note.ensure()
	ann.isReady()
	ann.wants(w.note.happen("n1", changed("n1", "hello"), "ann"))
}

func TestNATSGoesAndComesBack(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(w *world){
		"with what it had": func(w *world) { w.nats.Up(w.t) },
		"with nothing": func(w *world) {
			w.nats.Wipe(w.t)
			w.user.ensure()
			w.note.publish(w.note.past...) // the relay fills the stream again
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			ann := w.browser("ann", "")
			ann.isReady()
			var all []event.Event
			for range 20 {
				all = append(all, w.note.happen("n1", changed("n1", "before"), "ann"))
			}
			ann.wants(all...)
			w.nats.Down(t)
			waiting := []event.Event{w.note.write("n1", changed("n1", "while away"), "ann"), w.note.write("n2", changed("n2", "while away"), "ann")}
			back(w)
			if name == "with what it had" {
				w.note.publish(waiting...)
			}
			ann.wants(waiting...)
			last := w.note.happen("n1", changed("n1", "after"), "ann")
			ann.wants(last)
			for id, n := range ann.counts() {
				if n != 1 {
					t.Errorf("event %s came %d times", id, n)
				}
			}
		})
	}
}
