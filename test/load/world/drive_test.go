package world

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"noteworks.dev/test/load/measure"
)

// door stands for a Noteworks with one note: it answers changes and pushes each to the one live socket, by way of break, which may do otherwise.
type door struct {
	broken func(version int, frame string, push func(string))

	mu      sync.Mutex
	version int
	screen  net.Conn
}

func open(t *testing.T, broken func(version int, frame string, push func(string))) *Pair {
	t.Helper()
	d := &door{version: 1, broken: broken}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/live", func(w http.ResponseWriter, r *http.Request) {
		if conn, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
			go d.greet(conn)
		}
	})
	mux.HandleFunc("PATCH /api/v1/notes/n", d.change)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p, err := NewPair(t.Context(), strings.TrimPrefix(server.URL, "http://"), Person{Host: "localhost"}, Person{Host: "localhost"}, "n", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// greet takes the auth frame.
func (d *door) greet(screen net.Conn) {
	if _, err := wsutil.ReadClientText(screen); err != nil {
		return // the test sees nothing come
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.screen = screen
	_ = wsutil.WriteServerText(screen, []byte(`{"type":"ready","cursor":"1-0"}`))
}

func (d *door) change(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Header.Get("If-Match") != fmt.Sprintf("%q", fmt.Sprint(d.version)) {
		http.Error(w, "stale", http.StatusPreconditionFailed)
		return
	}
	d.version++
	text, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"body":"`), `"`)
	frame := fmt.Sprintf(`{"type":"event","event":"note.v1.NoteChanged","cursor":"1-%d","data":{"noteId":"n","version":%d,"body":"%s"}}`, d.version, d.version, text)
	d.broken(d.version, frame, func(f string) { _ = wsutil.WriteServerText(d.screen, []byte(f)) })
	w.Header().Set("Etag", fmt.Sprintf("%q", fmt.Sprint(d.version)))
	_, _ = io.WriteString(w, "{}")
}

func faithful(_ int, frame string, push func(string)) { push(frame) }

func nothing() Usage { return Usage{} }

func TestARunThatSeesEverythingIsGood(t *testing.T) {
	t.Parallel()
	p := open(t, faithful)
	for range 2 { // a pair may be driven again
		got, err := Drive(t.Context(), []*Pair{p}, nothing, Load{PerSecond: 200, Warmup: 50 * time.Millisecond, During: 150 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != (measure.Verdict{Written: 40, Seen: 40}) || got.Counted != 30 || got.Answers.Count() != 30 || got.Screens.Count() != 30 {
			t.Errorf("%+v, %d counted, %d on the screen", got.Verdict, got.Counted, got.Screens.Count())
		}
	}
}

func TestARunWithAFaultIsVoid(t *testing.T) {
	t.Parallel()
	var held string
	for name, c := range map[string]struct {
		broken func(version int, frame string, push func(string))
		want   measure.Verdict
	}{
		"one change lost": {func(v int, frame string, push func(string)) {
			if v != 5 {
				push(frame)
			}
		}, measure.Verdict{Written: 10, Seen: 9, Lost: 1}},
		"one change twice": {func(v int, frame string, push func(string)) {
			push(frame)
			if v == 5 {
				push(frame)
			}
		}, measure.Verdict{Written: 10, Seen: 11, Doubled: 1}},
		"two changes swapped": {func(v int, frame string, push func(string)) {
			if v == 5 {
				held = frame
				return
			}
			push(frame)
			if v == 6 {
				push(held)
			}
		}, measure.Verdict{Written: 10, Seen: 10, Inverted: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := driveWithin(t, open(t, c.broken))
			if !errors.Is(err, measure.ErrVoid) || got.Verdict != c.want {
				t.Errorf("%+v, %v", got.Verdict, err)
			}
		})
	}
}

func driveWithin(t *testing.T, p *Pair) (*Traffic, error) {
	t.Helper()
	return Drive(t.Context(), []*Pair{p}, nothing, Load{PerSecond: 100, During: 100 * time.Millisecond, Patience: 300 * time.Millisecond})
}

func TestARunWhoseReaderIsToldToResyncIsVoid(t *testing.T) {
	t.Parallel()
	got, err := driveWithin(t, open(t, func(v int, frame string, push func(string)) {
		if v == 3 {
			frame = `{"type":"resync"}`
		}
		push(frame)
	}))
	if !errors.Is(err, measure.ErrVoid) || got.Verdict.Failed == 0 || !strings.Contains(err.Error(), "resync") {
		t.Errorf("%+v, %v", got.Verdict, err)
	}
}

func TestAFrameIsReadAsFarAsItIsNeeded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Frame{
		`{"type":"ready","cursor":"7-1.2"}`:                                                {Type: "ready", Cursor: "7-1.2"},
		`{"type":"error","code":"token-expired"}`:                                          {Type: "error", Code: "token-expired"},
		`{"type":"event","event":"note.v1.NoteShared","cursor":"8","data":{"noteId":"a"}}`: {Type: "event", Event: "note.v1.NoteShared", Cursor: "8", Note: "a"},
		`{"type":"event","event":"note.v1.NoteChanged","cursor":"9","data":{"noteId":"a","version":12,"body":"1000000000 text"}}`: {
			Type: "event", Event: "note.v1.NoteChanged", Cursor: "9", Note: "a", Version: 12, Stamp: time.Unix(1, 0),
		},
	} {
		if got, err := readFrame([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	if _, err := readFrame([]byte(`{"type":"event","event":"note.v1.NoteChanged","data":{}}`)); err == nil {
		t.Error("a change without a version was read")
	}
}
