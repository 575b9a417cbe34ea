package socket_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"noteworks.dev/services/gateway/internal/live"
)

// inBubble runs a story whose time passes only while everybody waits.
func inBubble(t *testing.T, story func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, stop := pipedWorld(t)
		defer synctest.Wait()
		defer stop()
		story(t, w)
	})
}

func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock: it takes no time, and nothing is waited for
	synctest.Wait()
}

func TestASocketThatDoesNotSayWhoItIsIsClosedAfter5s(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		b := w.open()
		begin := time.Now()
		b.endsWith(live.CodeUnauthenticated, 1008)
		if took := time.Since(begin); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestASocketOutlivesItsTokenByAMinuteUnlessExtended(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		begin := time.Now()
		w.life = 30 * time.Second
		b := w.signedIn("ann")
		go func() {
			time.Sleep(80 * time.Second) //nolint:forbidigo // the bubble's clock
			b.auth("ann")
		}()
		if f := b.next(); f.Type != "ready" {
			t.Fatalf("%+v", f)
		}
		b.endsWith(live.CodeTokenExpired, 1008)
		if took := time.Since(begin); took < 170*time.Second || took > 173*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestASilentSocketIsPingedEvery25s(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		b := w.signedIn("ann")
		cursors := make(chan string)
		go func() {
			defer close(cursors)
			for { // reading answers pings
				_, text, err := b.ws.Read(b.read)
				if err != nil {
					return
				}
				cursors <- string(text)
			}
		}()
		for minute := range 2 {
			w.happen(`{}`, "somebody else")
			if got := <-cursors; !strings.HasPrefix(got, `{"type":"cursor","cursor":"`) {
				t.Errorf("in minute %d came %s", minute, got)
			}
			pass(70 * time.Second)
		}
		if n := w.sockets.Sockets(); n != 1 || w.sockets.Dead() != 0 {
			t.Errorf("%d sockets, %d dead", n, w.sockets.Dead())
		}
		_ = b.ws.CloseNow()
		for range cursors {
			t.Error("more than was happening")
		}
	})
}

func TestADeadPeerIsCutAfterTwoPings(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		conn := w.raw(t)
		go func() { _, _ = io.Copy(io.Discard, conn) }() // takes everything, answers nothing
		if _, err := conn.Write([]byte(textFrame(`{"type":"auth","token":"ann"}`))); err != nil {
			t.Fatal(err)
		}
		pass(40 * time.Second)
		if n := w.sockets.Sockets(); n != 1 {
			t.Fatalf("%d sockets", n)
		}
		pass(35 * time.Second)
		if n := w.sockets.Sockets(); n != 0 || w.sockets.Dead() != 1 {
			t.Errorf("%d sockets, %d dead", n, w.sockets.Dead())
		}
	})
}

func TestAClientThatStopsReadingIsGoneWithin30s(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		slow := w.signedIn("bob")
		for range 25 {
			w.happen(`{}`, "bob")
			pass(time.Second)
		}
		pass(4 * time.Second)
		if n := w.sockets.Sockets(); n != 0 {
			t.Errorf("%d sockets after 29 s", n)
		}
		_ = slow.ws.CloseNow()
	})
}

func TestAMessageMayNotTakeForever(t *testing.T) {
	t.Parallel()
	auth, fragment := textFrame(`{"type":"auth","token":"ann"}`), "\x01\x81\x00\x00\x00\x00{"
	for name, writes := range map[string][]string{"by itself": {auth, fragment}, "along with the one before": {auth + fragment}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aMessageMayNotTakeForever(t, writes)
		})
	}
}

// aMessageMayNotTakeForever writes the beginning of a message, and then a little of it now and again.
func aMessageMayNotTakeForever(t *testing.T, writes []string) {
	t.Helper()
	inBubble(t, func(t *testing.T, w *world) {
		conn := w.raw(t)
		answered := make(chan string)
		go func() { answered <- everything(t, conn) }()
		for _, text := range writes {
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		go func() {
			for range 5 {
				time.Sleep(3 * time.Second) //nolint:forbidigo // the bubble's clock
				_, _ = conn.Write([]byte("\x00\x81\x00\x00\x00\x00 "))
			}
		}()
		begin := time.Now()
		if got := <-answered; !strings.Contains(got, live.CodeMalformedFrame) {
			t.Errorf("answered %q", got)
		}
		if took := time.Since(begin); took > 13*time.Second {
			t.Errorf("closed after %v", took)
		}
		pass(10 * time.Second)
	})
}

func TestAnEndedSessionIsClosedWithinASecondThoughNobodyReads(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		b := w.signedIn("ann")
		w.happen(`{"forbidden":"soon"}`, "ann") // is being written, and not read
		synctest.Wait()
		w.hub.Publish(&live.Event{
			Stream: live.UserStream, Position: 1, Outbox: live.Place{1}, Workspace: workspace, Time: time.Now().Add(time.Second),
			Ended: &live.Ending{Person: "ann"},
		})
		pass(time.Second)
		if n := w.sockets.Sockets(); n != 0 {
			t.Errorf("%d sockets", n)
		}
		_ = b.ws.CloseNow()
	})
}

func TestWhatIsTakenBackIsNotWritten(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		bob := w.signedIn("bob")
		for i := range 10 {
			w.happen(fmt.Sprintf(`{"secret":%d}`, i), "bob", "ann")
			synctest.Wait() // the first is being written by now, the others wait behind it
		}
		n := w.next.Add(1)
		w.hub.Publish(&live.Event{
			Stream: live.NoteStream, Position: n, Outbox: live.Place{n}, ID: "u", Type: "note.v1.NoteUnshared", Workspace: workspace,
			Audience: []string{"ann", "bob"}, Note: "n", Withdrawn: live.Withdrawal{From: "bob"}, Time: time.Now(), Data: []byte(`{"noteId":"n"}`),
		})
		w.happen(`{"secret":"later"}`, "ann")
		var got []string
		for range 2 {
			got = append(got, string(bob.next().Data))
		}
		if !slices.Equal(got, []string{`{"secret":0}`, `{"noteId":"n"}`}) {
			t.Errorf("%q", got)
		}
		if n := w.hub.Stats().Withdrawn; n != 9 {
			t.Errorf("%d withdrawn", n)
		}
	})
}

func TestNobodyIsWelcomedWhileDraining(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		_, res, err := w.dial(http.Header{})
		if err == nil || res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%v, %v", res, err)
		}
	})
}
