package live_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/errs"
)

func TestAnEventReachesItsAudienceAndNobodyElse(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann, annsPhone, bob := w.browser("ann"), w.browser("ann"), w.browser("bob")
	namesake := w.browserAs(w.who("ann", there), "")
	for _, b := range []*browser{ann, annsPhone, bob, namesake} {
		b.mustRead("ready")
	}

	if sockets := w.hub.Publish(w.event("e1", "n1", "ann")); sockets != 2 {
		t.Errorf("queued for %d sockets", sockets)
	}
	ann.mustRead("e1")
	annsPhone.mustRead("e1")
	bob.mustRead()
	namesake.mustRead()
}

func TestARenamedPersonIsSeenByTheWholeWorkspaceOnly(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann, bob, stranger := w.browser("ann"), w.browser("bob"), w.browserAs(w.who("cleo", there), "")
	for _, b := range []*browser{ann, bob, stranger} {
		b.mustRead("ready")
	}
	w.hub.Publish(&live.Event{
		Stream: live.UserStream, Lane: 2, Position: 7, Outbox: live.Place{0, 0, 7, 0},
		ID: "r", Type: "user.v1.UserRenamed", Workspace: here, Time: w.time, Everyone: true, Data: []byte(`{"userId":"ann","name":"Anne"}`),
	})
	ann.mustRead("r")
	bob.mustRead("r")
	stranger.mustRead()
}

func TestAnEventThatComesAgainIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	first, second := w.event("e1", "n1", "ann"), w.event("e2", "n1", "ann")
	for _, e := range []*live.Event{first, second, first, second, first} {
		w.hub.Publish(e)
	}
	ann.mustRead("ready", "e1", "e2")
	if n := w.hub.Stats().Repeated; n != 3 {
		t.Errorf("%d repeated", n)
	}
}

func TestEventsThatStandNowhereAreIgnored(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	for _, break_ := range []func(*live.Event){
		func(e *live.Event) { e.Lane = -1 },
		func(e *live.Event) { e.Lane = live.Lanes },
		func(e *live.Event) { e.Position = 0 },
		func(e *live.Event) { e.Position = -4 },
		func(e *live.Event) { e.Stream = 9 },
	} {
		e := w.event("bad", "n1", "ann")
		break_(e)
		w.hub.Publish(e)
	}
	ann.mustRead("ready")
}

func TestAReturningClientGetsWhatItMissedInOrder(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	w.happen("e0", "n0", "ann")
	ann := w.browser("ann")
	w.happen("e1", "n1", "ann")
	ann.mustRead("ready", "e1")
	w.hub.Leave(ann.client)

	var want []string
	for i := range 20 {
		id := fmt.Sprintf("m%d", i)
		w.happen(id, fmt.Sprintf("n%d", i%5), "ann", "bob")
		w.happen("for bob", "n9", "bob")
		want = append(want, id)
	}
	back := w.browserAs(ann.who, ann.cursor)
	back.mustRead(append([]string{"ready"}, want...)...)
	w.happen("after", "n1", "ann")
	back.mustRead("after")
}

func TestAClientThatMissedNothingGetsNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	w.happen("e1", "n1", "ann")
	ann := w.browser("ann")
	ann.mustRead("ready")
	w.browserAs(ann.who, ann.cursor).mustRead("ready")
}

func TestAnEventsOwnCursorResumesBehindIt(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	w.happen("e1", "n1", "ann")
	ann.mustRead("ready", "e1")
	w.happen("e2", "n2", "ann")
	w.browserAs(ann.who, ann.cursor).mustRead("ready", "e2")
}

func TestACursorThatCannotBeContinuedMeansResync(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]func(w *world) string{
		"unknown form": func(*world) string { return "what is this" },
		"truncated": func(w *world) string {
			b := w.browser("ann")
			b.mustRead("ready")
			return b.cursor[:len(b.cursor)-2]
		},
		"before anything was known": func(*world) string { return live.Cursor{}.String() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, live.Limits{})
			w.next[live.NoteStream] = live.Place{40, 40, 40, 40} // the outbox has a past that was not read
			w.happen("e1", "n1", "ann")
			back := w.browserAs(w.who("ann", here), since(w))
			back.mustRead("ready", "resync")
			w.happen("e2", "n1", "ann")
			back.mustRead("e2")
		})
	}
}

func TestAClientAheadOfAStreamThatIsFilledAgainGetsWhatFollowsItsOwnCursor(t *testing.T) {
	t.Parallel()
	before := startWorld(t, live.Limits{})
	ann := before.browser("ann")
	var lost []*live.Event
	for i := range 8 {
		lost = append(lost, before.happen(fmt.Sprint("old", i), fmt.Sprint("n", i), "ann"))
	}
	ann.reads()

	// The stream is gone, another process begins, and the outbox fills the stream again.
	after := startWorld(t, live.Limits{})
	after.next = before.next
	back := after.browserAs(after.who("ann", here), ann.cursor)
	back.mustRead()
	for i, e := range lost {
		after.hub.Publish(e)
		if i == 0 {
			back.mustRead("ready")
		}
	}
	back.mustRead()
	after.happen("new", "n1", "ann")
	back.mustRead("new")
	after.pass(time.Hour)
	after.hub.Sweep()
	back.mustRead()
}

func TestAClientWhoseCursorTheOutboxNeverReachesIsToldToResync(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{ReadyWait: 10 * time.Second})
	w.happen("e1", "n1", "ann")
	far := w.next
	for lane := range far[live.NoteStream] {
		far[live.NoteStream][lane] += 100 // of a database that was restored from a backup since
	}
	back := w.browserAs(w.who("ann", here), far.String())
	back.mustRead("ready")
	w.pass(10 * time.Second)
	w.hub.Sweep()
	back.mustRead("resync")
	w.happen("e2", "n1", "ann")
	back.mustRead("e2")
}

func TestWhatAClientHadLoadedIsNotToldAsNews(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	old := w.event("old", "n1", "ann")
	w.pass(time.Hour)
	ann := w.browser("ann")
	ann.mustRead("ready")
	w.hub.Publish(old) // the stream was lost and is filled again
	ann.mustRead()
	w.happen("new", "n1", "ann")
	ann.mustRead("new")
}

func TestACursorOlderThanTheRingMeansResync(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits live.Limits
		then   func(w *world)
	}{
		"by count": {live.Limits{RingCount: 3}, func(*world) {}},
		"by bytes": {live.Limits{RingBytes: 2_000}, func(*world) {}},
		"by age": {live.Limits{RingAge: time.Minute}, func(w *world) {
			w.pass(61 * time.Second)
			w.hub.Sweep()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, c.limits)
			ann := w.browser("ann")
			ann.mustRead("ready")
			for i := range 10 {
				w.happen(fmt.Sprintf("e%d", i), "n1", "ann")
			}
			fresh := ann.reads()
			if len(fresh) != 10 {
				t.Fatalf("live: %q", fresh)
			}
			c.then(w)
			w.browserAs(ann.who, live.Cursor{}.String()).mustRead("ready", "resync")
			w.browserAs(ann.who, ann.cursor).mustRead("ready")
			if s := w.hub.Stats(); s.RingEvents > 5 || s.RingBytes > 2_000 {
				t.Errorf("the ring holds %d events, %d bytes", s.RingEvents, s.RingBytes)
			}
		})
	}
}

func TestMissingMoreThanAQueueHoldsMeansResync(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{QueueFrames: 5})
	ann := w.browser("ann")
	ann.mustRead("ready")
	for i := range 6 {
		w.happen(fmt.Sprintf("e%d", i), "n1", "ann")
		ann.mustRead(fmt.Sprintf("e%d", i))
	}
	w.browserAs(w.who("ann", here), live.Cursor{}.String()).mustRead("ready", "resync")
}

func TestAnEmptyOutboxCanBeResumedFromItsBeginning(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann") // nothing has happened, ever
	ann.mustRead("ready")
	w.happen("e1", "n1", "ann")
	w.browserAs(ann.who, live.Cursor{}.String()).mustRead("ready", "e1")
}

func TestAnIdleOutboxIsLocatedWithoutAnEvent(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	w.next = live.Cursor{live.UserStream: {3, 0, 0, 1}, live.NoteStream: {7, 9, 0, 2}}
	w.hub.Locate(live.UserStream, w.next[live.UserStream])
	w.hub.Locate(live.NoteStream, w.next[live.NoteStream])
	w.browserAs(w.who("ann", here), w.next.String()).mustRead("ready")
	old := w.next
	old[live.NoteStream][1]--
	w.browserAs(w.who("ann", here), old.String()).mustRead("ready", "resync")
}

func TestUnsharingDropsWhatStillWaits(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann, bob := w.browser("ann"), w.browser("bob")
	w.happen("n1 before", "n1", "ann", "bob")
	w.happen("n2", "n2", "bob")
	w.happen("n1 again", "n1", "ann", "bob")
	w.unshare("unshared", "n1", "bob", "ann")
	w.happen("n1 after", "n1", "ann")
	bob.mustRead("ready", "n2", "unshared")
	ann.mustRead("ready", "n1 before", "n1 again", "unshared", "n1 after")
	if n := w.hub.Stats().Withdrawn; n != 2 {
		t.Errorf("%d withdrawn", n)
	}
}

func TestAReplayHasNothingFromBeforeAnUnshare(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	bob := w.browser("bob")
	bob.mustRead("ready")
	w.hub.Leave(bob.client)
	w.happen("n1 secret", "n1", "ann", "bob")
	w.happen("n2", "n2", "bob")
	w.unshare("unshared", "n1", "bob", "ann")
	w.happen("n1 later", "n1", "ann")
	w.browserAs(bob.who, bob.cursor).mustRead("ready", "n2", "unshared")

	w.happen("shared again", "n1", "ann", "bob")
	w.browserAs(bob.who, bob.cursor).mustRead("ready", "n2", "unshared", "shared again")
}

func TestATrashedNoteStaysWithItsOwnerOnly(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann, bob := w.browser("ann"), w.browser("bob")
	w.happen("text", "n1", "ann", "bob")
	trashed := w.event("trashed", "n1", "ann", "bob")
	trashed.Withdrawn.AllBut = "ann"
	w.hub.Publish(trashed)
	ann.mustRead("ready", "text", "trashed")
	bob.mustRead("ready", "trashed")
	w.browserAs(bob.who, live.Cursor{}.String()).mustRead("ready", "trashed")
	w.browserAs(ann.who, live.Cursor{}.String()).mustRead("ready", "text", "trashed")
}

func TestAHeldHubSendsNothingAndReplaysTheBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Limits{})
	w.happen("past", "n1", "ann")
	ann := w.browser("ann")
	ann.mustRead()
	w.happen("past too", "n1", "ann")
	ann.mustRead()
	w.hub.Release()
	ann.mustRead("ready") // it has just loaded everything

	w.hub.Hold()
	w.happen("while held", "n1", "ann")
	late := w.browserAs(w.who("ann", here), ann.cursor)
	late.mustRead()
	ann.mustRead()
	w.hub.Release()
	ann.mustRead("while held")
	late.mustRead("ready", "while held")
	w.happen("live", "n1", "ann")
	ann.mustRead("live")
	late.mustRead("live")
}

func TestWhatWasUnsharedWhileHeldIsNeverSent(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	bob := w.browser("bob")
	bob.mustRead("ready")
	w.hub.Hold()
	w.happen("secret", "n1", "ann", "bob")
	w.unshare("unshared", "n1", "bob", "ann")
	w.hub.Release()
	bob.mustRead("unshared")
}

func TestNobodyWaitsLongForAHeldHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Limits{ReadyWait: 10 * time.Second})
	ann := w.browser("ann")
	w.pass(9 * time.Second)
	w.hub.Sweep()
	ann.mustRead()
	w.pass(time.Second)
	w.hub.Sweep()
	ann.mustRead("ready", "resync")
	w.hub.Sweep()
	ann.mustRead()

	w.next[live.NoteStream] = live.Place{9, 9, 9, 9}
	w.happen("unseen past", "n1", "ann")
	w.hub.Release()
	ann.mustRead("resync") // what happened before the tail began is not known
	w.happen("live", "n1", "ann")
	ann.mustRead("live")
}

func TestEventsThatWentByUnseenMeanResync(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	w.happen("e1", "n1", "ann")
	ann.mustRead("ready", "e1")
	before := ann.cursor
	w.event("lost", "n2", "ann") // takes its place in the outbox, and never comes
	w.happen("e3", "n1", "ann")
	ann.mustRead("resync", "e3")
	w.browserAs(ann.who, before).mustRead("ready", "resync")
	w.browserAs(ann.who, ann.cursor).mustRead("ready")
}

func TestAClientThatDoesNotReadIsCutAndOthersAreNot(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]live.Limits{"by frames": {QueueFrames: 4}, "by bytes": {QueueBytes: 700}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, limits)
			slow, quick := w.browser("bob"), w.browser("bob")
			quick.mustRead("ready")
			for i := range 20 {
				w.happen(fmt.Sprint(i), "n1", "bob")
				quick.mustRead(fmt.Sprint(i))
			}
			slow.mustRead("error:too-slow", "close")
			if n := w.hub.Stats().Cut; n != 1 {
				t.Errorf("%d cut", n)
			}
		})
	}
}

func TestJoiningAgainExtendsTheStayOfTheSamePerson(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	w.happen("e1", "n1", "ann")
	again := ann.who
	again.Expires = again.Expires.Add(time.Minute)
	if err := w.hub.Join(ann.client, again, "ignored"); err != nil {
		t.Fatal(err)
	}
	w.happen("e2", "n1", "ann")
	ann.mustRead("ready", "e1", "ready", "e2")

	for _, other := range []live.Identity{w.who("bob", here), w.who("ann", there)} {
		if err := w.hub.Join(ann.client, other, ""); errs.CodeOf(err) != live.CodeOtherPerson {
			t.Errorf("joining as %v: %v", other, err)
		}
	}
}

func TestAClientThatNothingHappensToLearnsTheCursor(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{RingCount: 2})
	ann := w.browser("ann")
	w.hub.TellCursor(ann.client)
	ann.mustRead("ready") // it knows already
	for i := range 5 {
		w.happen(fmt.Sprint(i), "n1", "bob")
	}
	w.hub.TellCursor(ann.client)
	w.hub.TellCursor(ann.client)
	ann.mustRead("cursor")
	w.browserAs(ann.who, ann.cursor).mustRead("ready")
	w.happen("own", "n1", "ann")
	w.hub.TellCursor(ann.client)
	ann.mustRead("own") // which carried the cursor

	w.hub.Hold()
	w.happen("held", "n1", "ann")
	w.hub.TellCursor(ann.client)
	ann.mustRead() // or the event before that cursor would never come
	w.hub.TellCursor(w.hub.NewClient(func() {}, func() {}))
}

func TestLeavingEndsEverything(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	ann.mustRead("ready")
	w.hub.Leave(ann.client)
	w.hub.Leave(ann.client)
	w.hub.Leave(w.hub.NewClient(func() {}, func() {}))
	if sockets := w.hub.Publish(w.event("e1", "n1", "ann")); sockets != 0 {
		t.Errorf("queued for %d sockets", sockets)
	}
	ann.mustRead()
}

func TestEndedSessionsLoseTheirSockets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ending func(phone, laptop live.Identity) live.Ending
		phone  bool // ended
		laptop bool
	}{
		"one session":          {func(p, _ live.Identity) live.Ending { return live.Ending{Person: "ann", Sessions: []string{p.Session}} }, true, false},
		"all":                  {func(_, _ live.Identity) live.Ending { return live.Ending{Person: "ann"} }, true, true},
		"all but one":          {func(_, l live.Identity) live.Ending { return live.Ending{Person: "ann", Keep: l.Session} }, true, false},
		"another person's":     {func(_, _ live.Identity) live.Ending { return live.Ending{Person: "bob"} }, false, false},
		"of the workspace":     {func(_, _ live.Identity) live.Ending { return live.Ending{} }, true, true},
		"a session unheard of": {func(_, _ live.Identity) live.Ending { return live.Ending{Person: "ann", Sessions: []string{"x"}} }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, live.Limits{})
			phone, laptop := w.browser("ann"), w.browser("ann")
			stranger := w.browserAs(w.who("zoe", there), "")
			w.happen("waiting", "n1", "ann")
			w.pass(time.Second)
			w.end(here, c.ending(phone.who, laptop.who))
			for b, ended := range map[*browser]bool{phone: c.phone, laptop: c.laptop} {
				want := []string{"ready", "waiting"}
				if ended {
					want = []string{"error:session-ended", "close"}
				}
				b.mustRead(want...)
				err := w.hub.Join(w.hub.NewClient(func() {}, func() {}), b.who, "")
				if got := errs.CodeOf(err) == live.CodeSessionEnded; err != nil && got != ended || ended && err == nil {
					t.Errorf("joining again: %v", err)
				}
			}
			stranger.mustRead("ready")
		})
	}
}

func TestASessionThatBeginsAfterAnEndingLives(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	old := w.who("ann", here)
	w.pass(time.Millisecond)
	w.end(here, live.Ending{Person: "ann"})
	w.pass(time.Millisecond)
	fresh := w.who("ann", here)
	if !w.hub.Endings().Ended(old) || w.hub.Endings().Ended(fresh) {
		t.Errorf("old ended: %v, fresh ended: %v", w.hub.Endings().Ended(old), w.hub.Endings().Ended(fresh))
	}
	foreign := fresh
	foreign.Session = "7f0c3e9e-5d52-4c0e-9c5e-6f3f7f0c3e9e" // no time in it: judged by its token
	if w.hub.Endings().Ended(foreign) {
		t.Error("a token from after the ending is refused")
	}
	foreign.Expires = foreign.Expires.Add(-time.Second)
	if !w.hub.Endings().Ended(foreign) {
		t.Error("a token from before the ending is good")
	}
}

func TestEndingsAreForgottenWhenNoTokenCanLive(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	who := w.who("ann", here)
	w.end(here, live.Ending{Person: "ann"})
	w.end(here, live.Ending{Person: "bob", Sessions: []string{"s1", "s2"}})
	w.pass(live.EndingTTL / 2)
	w.end(here, live.Ending{Person: "ann"})
	w.pass(live.EndingTTL/2 + time.Second)
	w.hub.Sweep()
	if n := w.hub.Endings().Len(); n != 1 || !w.hub.Endings().Ended(who) {
		t.Errorf("%d left, the renewed one counts: %v", n, w.hub.Endings().Ended(who))
	}
	w.pass(live.EndingTTL)
	w.hub.Sweep()
	if n := w.hub.Endings().Len(); n != 0 || w.hub.Endings().Ended(who) {
		t.Errorf("%d left", n)
	}
	w.end(here, live.Ending{Person: "old news"})
	stale := live.Ending{Person: "cleo"}
	w.next[live.UserStream][0]++
	w.hub.Publish(&live.Event{
		Stream: live.UserStream, Position: w.next[live.UserStream][0], Outbox: w.next[live.UserStream],
		Workspace: here, Time: w.time.Add(-live.EndingTTL), Ended: &stale,
	})
	if n := w.hub.Endings().Len(); n != 1 {
		t.Errorf("%d kept, one of them from long ago", n)
	}
}

func TestTheListOfEndingsIsBounded(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	const many = 60_000
	sessions := make([]string, many)
	for i := range sessions {
		sessions[i] = fmt.Sprint(i)
	}
	w.end(here, live.Ending{Person: "ann", Sessions: sessions})
	if n := w.hub.Endings().Len(); n >= many {
		t.Errorf("%d kept", n)
	}
	newest := live.Identity{Person: "ann", Session: sessions[many-1]}
	if !w.hub.Endings().Ended(newest) {
		t.Error("the newest was forgotten")
	}
}

// A session that ends while its token is being checked must not slip in.
func TestASessionThatEndedWhileWaitingIsNotWelcomed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Limits{})
	ann := w.browser("ann")
	w.pass(time.Second)
	w.end(here, live.Ending{Person: "ann"})
	w.hub.Release()
	ann.mustRead("error:session-ended", "close")
}

func TestFramesAreAsTheyAreDescribed(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	w.hub.Publish(w.event("e0", "n1", "ann"))
	ann := w.browser("ann")
	e := w.event("0190", "n1", "ann", "bob")
	e.Data = []byte(`{"noteId":"n1","title":"<b>\u2028</b>"}`)
	w.hub.Publish(e)
	frames, _ := ann.client.Take(nil, 1<<20)
	at := w.next.String()
	if want := `{"type":"event","event":"note.v1.NoteChanged","id":"0190","cursor":"` + at + `","data":{"noteId":"n1","title":"<b>\u2028</b>"}}`; string(payload(t, frames[1].Wire())) != want {
		t.Errorf("event: %s\nnot    %s", payload(t, frames[1].Wire()), want)
	}
	if got := string(payload(t, frames[0].Wire())); !strings.HasPrefix(got, `{"type":"ready","cursor":"`) {
		t.Errorf("ready: %s", got)
	}
	if strings.Contains(string(frames[1].Wire()), "bob") {
		t.Error("the audience reached a browser")
	}
	ann.client.End(live.CodeTokenExpired)
	frames, _ = ann.client.Take(nil, 1)
	if got := string(payload(t, frames[0].Wire())); got != `{"type":"error","code":"token-expired"}` {
		t.Errorf("error: %s", got)
	}
}

func TestLongFramesHaveLongHeaders(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	for _, n := range []int{1, 100, 1000, 70_000} {
		e := w.event("e", "n1", "ann")
		e.Data = []byte(`{"title":"` + strings.Repeat("x", n) + `"}`)
		w.hub.Publish(e)
	}
	if got := ann.reads(); len(got) != 5 { // reads checks each header
		t.Errorf("%q", got)
	}
}

func TestOnlyTheFirstEndCounts(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	if !ann.client.End(live.CodeTokenExpired) || ann.client.End(live.CodeSessionEnded) || ann.client.EndForRestart() {
		t.Error("not only the first")
	}
	if _, first := ann.client.Seize(live.CodeMalformedFrame); first {
		t.Error("seized after the end")
	}
	w.happen("e1", "n1", "ann")
	ann.mustRead("error:token-expired", "close")
	if got := ann.client.Ended(); got != live.CodeTokenExpired {
		t.Errorf("ended by %q", got)
	}
}

// Every reader of every note sees its events in order and once, whatever comes between.
func TestAReconnectingReaderSeesEveryEventOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	var want, got []string
	for i := range 500 {
		id := fmt.Sprint(i)
		w.happen(id, fmt.Sprintf("n%d", i%7), "ann")
		want = append(want, id)
		switch i % 11 {
		case 3:
			got = append(got, ann.reads()...)
		case 5: // breaks off with frames unread
			w.hub.Leave(ann.client)
		case 8:
			w.hub.Leave(ann.client)
			ann = w.browserAs(ann.who, ann.cursor)
		case 9:
			w.hub.Hold()
		case 10:
			w.hub.Release()
		}
	}
	w.hub.Leave(ann.client)
	ann = w.browserAs(ann.who, ann.cursor)
	got = append(got, ann.reads()...)
	got = slices.DeleteFunc(got, func(s string) bool { return s == "ready" })
	if !slices.Equal(got, want) {
		t.Errorf("read %d of %d: %q", len(got), len(want), got)
	}
}

func TestCursorsSurviveTheirTextOrAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []live.Cursor{{}, {{1, 2, 3, 4}, {5, 6, 7, 8}}, {{1 << 62, 0, 127, 128}, {1<<63 - 1, 1, 0, 0}}} {
		got, err := live.ParseCursor(c.String())
		if err != nil || got != c {
			t.Errorf("%v became %v, %v", c, got, err)
		}
	}
	good := live.Cursor{{1, 2, 3, 4}}.String()
	for _, text := range []string{"", "AA", "null", good + "A", good[1:], "A" + good[1:] + "=", strings.Repeat("A", 5000), good[:4] + "_" + good[5:], "*", ">", "ws.*.>"} {
		if _, err := live.ParseCursor(text); !errors.Is(err, live.ErrCursor) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
