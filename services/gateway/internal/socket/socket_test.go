package socket_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/socket"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/telemetry"
)

func TestLifecycle(t *testing.T) { //nolint:paralleltest // compares goroutines
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle {
		hub := live.NewHub(live.Limits{}, time.Now)
		return socket.NewServer(socket.Config{MaxSockets: 1}, hub, nil, nil, telemetry.Discard(), time.Now)
	}, goleak.IgnoreCurrent())
}

func TestEventsArriveInOrder(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	b := w.signedIn("ann")
	const many = 500
	go func() {
		for i := range many {
			w.happen(fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", i%9*1000)), "ann")
		}
	}()
	for want := range many {
		var got struct{ N int }
		if err := json.Unmarshal(b.next().Data, &got); err != nil || got.N != want {
			t.Fatalf("%d came where %d was due (%v)", got.N, want, err)
		}
	}
}

func TestABrowserThatComesBackGoesOn(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	first := w.signedIn("ann")
	w.happen(`{"n":1}`, "ann")
	seen := first.next().Cursor
	_ = first.ws.CloseNow()
	w.happen(`{"n":2}`, "ann")

	again := w.open()
	again.send(`{"type":"auth","token":"ann","since":"` + seen + `"}`)
	ready, missed := again.next(), again.next()
	if ready.Type != "ready" || string(missed.Data) != `{"n":2}` || missed.Cursor != ready.Cursor {
		t.Errorf("%+v, %+v", ready, missed)
	}
	w.waitFor("the end of the first", func() bool { return w.sockets.Sockets() == 1 })
}

func TestASlowReaderIsCutAndOthersDoNotNotice(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{QueueBytes: 256 << 10})
	slow, quick := w.signedIn("bob"), w.signedIn("bob")
	body := `{"body":"` + strings.Repeat("x", 60_000) + `"}`
	var took []time.Duration
	for w.hub.Stats().Cut == 0 { // the system takes a few MB before the queue fills
		begin := time.Now()
		w.happen(body, "bob")
		if f := quick.next(); f.Type != "event" {
			t.Fatalf("%+v", f)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	if p99 := took[len(took)*99/100]; p99 > time.Second {
		t.Errorf("the other one's p99 was %v", p99)
	}
	w.waitFor("the end of the slow one", func() bool { return w.sockets.Sockets() == 1 })
	w.happen(`{}`, "bob")
	if f := quick.next(); f.Type != "event" {
		t.Errorf("%+v", f)
	}
	_ = slow.ws.CloseNow()
}

func TestAnEndedSessionHearsWhyAndIsClosed(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	ann, bob := w.signedIn("ann"), w.signedIn("bob")
	begin := time.Now()
	w.hub.Publish(&live.Event{
		Stream: live.UserStream, Position: 1, Outbox: live.Place{1}, Workspace: workspace, Time: begin,
		Ended: &live.Ending{Person: "ann", Sessions: []string{"session of ann"}},
	})
	ann.endsWith(live.CodeSessionEnded, 1008)
	if took := time.Since(begin); took > 3*time.Second { // 1 s is proven in a bubble; this allows for a busy machine
		t.Errorf("closed after %v", took)
	}
	w.happen(`{}`, "ann", "bob")
	if f := bob.next(); f.Type != "event" {
		t.Errorf("%+v", f)
	}
}

func TestStoppingClosesEverySocketWithAWord(t *testing.T) {
	t.Parallel()
	const many = 300
	w := newWorld(t, socket.Config{MaxSockets: many}, live.Limits{})
	w.serve()
	var browsers []*browser
	for range many {
		browsers = append(browsers, w.signedIn("ann"))
	}
	ended := make([]time.Time, many)
	var all sync.WaitGroup
	for i, b := range browsers {
		all.Go(func() {
			f := b.next()
			ended[i] = time.Now()
			if f.Type != "close" || f.Cursor != websocket.StatusServiceRestart.String() {
				t.Errorf("%+v", f)
			}
		})
	}
	begin := time.Now()
	w.stop()
	took := time.Since(begin)
	all.Wait()
	slices.SortFunc(ended, time.Time.Compare)
	if spread := ended[many-1].Sub(ended[0]); spread < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("closed over %v in %v", spread, took)
	}
	if n := w.sockets.Sockets(); n != 0 {
		t.Errorf("%d sockets left", n)
	}
}

func TestStoppingDoesNotWaitForWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, socket.Config{}, live.Limits{})
	w.serve()
	for range 10 {
		w.signedIn("ann") // nobody reads the close frame
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	if err := w.sockets.Stop(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestNothingIsLeftOfASocket(t *testing.T) { //nolint:paralleltest // compares goroutines
	before := goleak.IgnoreCurrent()
	w := newWorld(t, socket.Config{}, live.Limits{})
	stop := w.serve()
	transport := &http.Transport{}
	w.client = &http.Client{Transport: transport}
	for i := range 30 {
		b := w.signedIn(fmt.Sprint(i))
		w.happen(`{}`, fmt.Sprint(i))
		switch i % 4 {
		case 0:
			_ = b.ws.CloseNow()
		case 1:
			_ = b.ws.Close(websocket.StatusNormalClosure, "")
		case 2:
			b.send("}")
			b.endsWith(live.CodeMalformedFrame, 1007)
		default:
			defer func() { _ = b.ws.CloseNow() }()
		}
	}
	w.stop()
	stop()
	transport.CloseIdleConnections()
	for range 30 {
		if n := w.hub.Publish(&live.Event{Stream: live.UserStream, Position: w.next.Add(1), Workspace: workspace, Everyone: true, Data: []byte(`{}`)}); n != 0 {
			t.Fatalf("%d clients are still in the hub", n)
		}
	}
	goleak.VerifyNone(t, before)
}

// Frames that come in one piece with the handshake are all read, wherever the buffer ends.
func TestWhatComesAlongWithTheHandshakeIsRead(t *testing.T) {
	t.Parallel()
	w := startWorld(t, socket.Config{}, live.Limits{})
	conn, err := w.dialRaw(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	const header, length = "\x81\xfe\x03\xf8\x00\x00\x00\x00", 1016 // together twice the reader's buffer
	auth := fmt.Sprintf("%s%-*s", header, length, `{"type":"auth","token":"ann"}`)
	if _, err := conn.Write([]byte(handshake + auth + auth + "\x82\x80\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // until the binary frame has ended it
	if !strings.Contains(string(answer), live.CodeBinaryFrame) {
		t.Errorf("answered %q", answer)
	}
}
