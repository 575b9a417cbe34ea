package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/inbox"
)

// errBug is what a handler stumbles over.
var errBug = inbox.Park(errors.New("a bug"))

func TestADeadLetterIsListedShownAndHandledOnceAfterItsReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(errBug)
	w.send(t, "note", "what somebody wrote")

	listed := w.letters(t, 1)[0]
	if listed.GetConsumer() != consumer || listed.GetReason() != "a bug" || listed.GetAttempts() != 1 || listed.GetStream() != event.StreamNote ||
		listed.GetEventType() != "note.v1.NoteChanged" || listed.GetWorkspaceId() != workspace || listed.GetKey() != "note" || listed.GetMalformed() != "" ||
		listed.GetEventId() == "" || len(listed.GetTraceId()) != 32 || time.Since(listed.GetParkedAt().AsTime()) > time.Hour || listed.Data != nil {
		t.Errorf("listed: %v", listed)
	}
	shown := w.show(t, listed.GetNumber(), false)
	if shown.GetEventId() != listed.GetEventId() || shown.Data != nil || shown.GetDataBytes() == 0 {
		t.Errorf("shown: %v", shown)
	}
	if whole := w.show(t, listed.GetNumber(), true); !strings.Contains(string(whole.GetData()), "what somebody wrote") || len(whole.GetData()) != int(whole.GetDataBytes()) {
		t.Errorf("shown with what it holds: %q", whole.GetData())
	}

	// At once, and so within the time in which NATS swallows what it has seen: it still comes.
	w.fail(nil)
	w.replay(t, listed.GetNumber())
	w.eventually(t, "select count(*) from effects", 1)
	w.letters(t, 0)
	if _, err := w.admin.ReplayDeadLetter(t.Context(), connect.NewRequest(&adminv1.ReplayDeadLetterRequest{Number: listed.GetNumber()})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("replayed twice: %v", err)
	}
	w.send(t, "note", "later")
	w.eventually(t, "select count(*) from effects", 2)
}

func TestWhatFailsAgainIsADeadLetterAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(errBug)
	w.send(t, "note", "a")
	first := w.letters(t, 1)[0]
	w.replay(t, first.GetNumber())
	again := w.lettersWhen(t, func(all []*adminv1.DeadLetter) bool { return len(all) == 1 && all[0].GetNumber() > first.GetNumber() })[0]
	if again.GetEventId() != first.GetEventId() || again.GetStreamSequence() != first.GetStreamSequence() {
		t.Errorf("it was %v and is %v", first, again)
	}
	if n := w.Count(t, "select count(*) from effects"); n != 0 {
		t.Errorf("%d effects of what always failed", n)
	}
}

func TestADiscardedDeadLetterIsGoneAndHasNoEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(errBug)
	w.send(t, "note", "a", "b")
	letters := w.letters(t, 2)
	w.fail(nil)
	res, err := w.admin.DiscardDeadLetter(t.Context(), connect.NewRequest(&adminv1.DiscardDeadLetterRequest{Number: letters[0].GetNumber()}))
	if err != nil || res.Msg.GetEventId() != letters[0].GetEventId() {
		t.Fatalf("discarded %v, %v", res, err)
	}
	w.replay(t, letters[1].GetNumber())
	w.eventually(t, "select count(*) from effects where value = 'b'", 1)
	w.letters(t, 0)
	if n := w.Count(t, "select count(*) from effects"); n != 1 {
		t.Errorf("%d effects, one was discarded", n)
	}
}

func TestDeadLettersComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(errBug)
	w.send(t, "note", "a", "b", "c", "d", "e")
	all := w.letters(t, 5)
	var seen []uint64
	for from := uint64(0); ; {
		res, err := w.admin.ListDeadLetters(t.Context(), connect.NewRequest(&adminv1.ListDeadLettersRequest{Consumer: consumer, From: from, Limit: 2}))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range res.Msg.GetDeadLetters() {
			seen = append(seen, l.GetNumber())
		}
		if from = res.Msg.GetNext(); from == 0 {
			break
		}
	}
	for i, l := range all {
		if len(seen) != len(all) || seen[i] != l.GetNumber() {
			t.Fatalf("%v in pages of %v", seen, all)
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.letters(t, 0) // connected
	_, list := w.admin.ListDeadLetters(t.Context(), connect.NewRequest(&adminv1.ListDeadLettersRequest{Consumer: "note-foreign"}))
	_, show := w.admin.GetDeadLetter(t.Context(), connect.NewRequest(&adminv1.GetDeadLetterRequest{Number: 17}))
	_, replay := w.admin.ReplayDeadLetter(t.Context(), connect.NewRequest(&adminv1.ReplayDeadLetterRequest{Number: 17}))
	_, discard := w.admin.DiscardDeadLetter(t.Context(), connect.NewRequest(&adminv1.DiscardDeadLetterRequest{}))
	_, rebuild := w.admin.RebuildStream(t.Context(), connect.NewRequest(&adminv1.RebuildStreamRequest{Stream: event.StreamUser}))
	for what, err := range map[string]error{"list": list, "show": show, "replay": replay, "discard": discard, "rebuild": rebuild} {
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !strings.Contains(list.Error(), consumer) {
		t.Errorf("it does not say which consumers there are: %v", list)
	}
}

func TestTheOutboxTellsHowItStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(t, "note", "a", "b", "c")
	w.eventually(t, "select count(*) from effects", 3)
	status := w.statusWhen(t, func(s *adminv1.OutboxStatus) bool {
		return s.GetStreamStatus().GetMessages() == 3 && s.GetPending() == 0
	})
	in := status.GetStreamStatus()
	if status.GetService() != "note" || status.GetStream() != event.StreamNote || status.GetLeader() == "" || !status.GetLeading() || !status.GetNatsConnected() ||
		in.GetFirstSequence() != 1 || in.GetLastSequence() != 3 || in.GetBytes() == 0 || in.GetLastStoredAt() == nil || len(status.GetLanes()) != event.Lanes {
		t.Errorf("%v", status)
	}
	lane := status.GetLanes()[event.LaneOf("note")]
	if lane.GetNewest() != 3 || lane.GetPublished() != 3 || lane.GetPending() != 0 {
		t.Errorf("lane: %v", lane)
	}

	w.nats.Down(t)
	w.send(t, "note", "d")
	w.statusWhen(t, func(s *adminv1.OutboxStatus) bool {
		return !s.GetNatsConnected() && s.StreamStatus == nil && s.GetPending() == 1 && s.GetOldestPending() != nil
	})
	_, err := w.admin.ListDeadLetters(t.Context(), connect.NewRequest(&adminv1.ListDeadLettersRequest{}))
	if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "NATS") {
		t.Errorf("dead letters without NATS: %v", err)
	}
	_, err = w.admin.RebuildStream(t.Context(), connect.NewRequest(&adminv1.RebuildStreamRequest{Stream: event.StreamNote}))
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("rebuilt without NATS: %v", err)
	}
	w.nats.Up(t)
	w.eventually(t, "select count(*) from effects", 4)
}

// Everything comes again, and nothing takes effect again; what was a dead letter stays one.
func TestAStreamIsRebuiltUnderLoadAndEachEventTakesEffectOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(errBug)
	w.send(t, "poison", "never")
	w.letters(t, 1)
	w.fail(nil)
	var writers sync.WaitGroup
	for i := range 3 {
		writers.Go(func() {
			for n := range 60 {
				w.send(t, fmt.Sprint("note-", i), fmt.Sprint(n))
			}
		})
	}
	w.eventuallyAtLeast(t, "select count(*) from effects", 20)
	for range 2 {
		res, err := w.admin.RebuildStream(t.Context(), connect.NewRequest(&adminv1.RebuildStreamRequest{Stream: event.StreamNote}))
		if err != nil || res.Msg.GetRemoved() == 0 {
			t.Errorf("rebuilt: %v, %v", res, err)
		}
	}
	writers.Wait()
	w.eventually(t, "select count(distinct event_id) from effects", 180)
	w.statusWhen(t, func(s *adminv1.OutboxStatus) bool {
		return s.GetPending() == 0 && s.GetStreamStatus().GetMessages() == 181
	})
	if n := w.Count(t, "select count(*) from effects"); n != 180 {
		t.Errorf("%d effects of 180 events", n)
	}
	w.letters(t, 1)
	inverted := "select count(*) from (select value::int - lag(value::int) over (partition by key order by id) as step from effects) as steps where step <> 1"
	if n := w.Count(t, inverted); n != 0 {
		t.Errorf("%d effects out of order", n)
	}
}

func TestOnlyTheAdminMayAskAndEachCallIsInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail(errBug)
	w.send(t, "note", "a secret")
	number := w.letters(t, 1)[0].GetNumber()
	for who, want := range map[string]connect.Code{"gateway": connect.CodePermissionDenied, "": connect.CodeUnauthenticated} {
		client := w.client(who)
		_, list := client.ListDeadLetters(t.Context(), connect.NewRequest(&adminv1.ListDeadLettersRequest{}))
		_, show := client.GetDeadLetter(t.Context(), connect.NewRequest(&adminv1.GetDeadLetterRequest{Number: number, WithData: true}))
		_, replay := client.ReplayDeadLetter(t.Context(), connect.NewRequest(&adminv1.ReplayDeadLetterRequest{Number: number}))
		_, discard := client.DiscardDeadLetter(t.Context(), connect.NewRequest(&adminv1.DiscardDeadLetterRequest{Number: number}))
		_, status := client.GetOutboxStatus(t.Context(), connect.NewRequest(&adminv1.GetOutboxStatusRequest{}))
		_, rebuild := client.RebuildStream(t.Context(), connect.NewRequest(&adminv1.RebuildStreamRequest{Stream: event.StreamNote}))
		for what, err := range map[string]error{"list": list, "show": show, "replay": replay, "discard": discard, "status": status, "rebuild": rebuild} {
			if connect.CodeOf(err) != want {
				t.Errorf("%q, %s: %v", who, what, err)
			}
		}
	}
	w.letters(t, 1)
	w.show(t, number, true)
	line := w.log.line(`"with_data":true`)
	for _, part := range []string{`"msg":"administered"`, "/admin.v1.EventService/GetDeadLetter", `"caller":"admin"`, fmt.Sprintf(`"dead_letter":%d`, number), `"trace_id"`} {
		if !strings.Contains(line, part) {
			t.Errorf("the log does not say %s: %s", part, line)
		}
	}
	if strings.Contains(w.log.String(), "a secret") {
		t.Error("the log says what the event holds")
	}
}
