package live_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/live"
)

const (
	here  = "0190aaaa-0000-7000-8000-000000000001"
	there = "0190aaaa-0000-7000-8000-000000000002"
)

// world is a hub with a clock that only moves when told to.
type world struct {
	t    *testing.T
	hub  *live.Hub
	time time.Time
	next live.Cursor // what the outboxes have given out
	ids  int
}

func newWorld(t *testing.T, limits live.Limits) *world {
	t.Helper()
	w := &world{t: t, time: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	w.hub = live.NewHub(limits, func() time.Time { return w.time })
	return w
}

// startWorld is a world that does not hold.
func startWorld(t *testing.T, limits live.Limits) *world {
	t.Helper()
	w := newWorld(t, limits)
	w.hub.Release()
	return w
}

// session is a session id of a session that begins now.
func (w *world) session() string {
	w.ids++
	ms := uint64(w.time.UnixMilli())
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", ms>>16, ms&0xffff, w.ids)
}

func (w *world) who(person, workspace string) live.Identity {
	return live.Identity{Person: person, Workspace: workspace, Session: w.session(), Expires: w.time.Add(5 * time.Minute)}
}

// browser is a client whose frames are read when the test asks.
type browser struct {
	w      *world
	who    live.Identity
	client *live.Client
	cursor string
}

func (w *world) browser(person string) *browser { return w.browserAs(w.who(person, here), "") }

func (w *world) browserAs(who live.Identity, since string) *browser {
	w.t.Helper()
	b := &browser{w: w, who: who}
	b.client = w.hub.NewClient(func() {}, func() {})
	if err := w.hub.Join(b.client, who, since); err != nil {
		w.t.Fatalf("join: %v", err)
	}
	return b
}

// frame is what a browser sees.
type frame struct {
	Type, Event, ID, Cursor, Code string
	Data                          struct{ NoteID, Title string }
}

// reads takes everything that waits and shows it as short words: "ready", "resync", an event's id, "error:<code>", "close".
func (b *browser) reads() []string {
	b.w.t.Helper()
	var words []string
	for {
		frames, done := b.client.Take(nil, 1<<20)
		for _, f := range frames {
			words = append(words, b.word(f))
		}
		if done {
			return append(words, "close")
		}
		if len(frames) == 0 {
			return words
		}
	}
}

func (b *browser) word(f *live.Frame) string {
	b.w.t.Helper()
	var seen frame
	if err := json.Unmarshal(payload(b.w.t, f.Wire()), &seen); err != nil {
		b.w.t.Fatalf("a frame that is no JSON: %v", err)
	}
	if seen.Cursor != "" {
		b.cursor = seen.Cursor
	}
	switch seen.Type {
	case "event":
		return seen.ID
	case "error":
		return "error:" + seen.Code
	}
	return seen.Type
}

func (b *browser) mustRead(want ...string) {
	b.w.t.Helper()
	if got := b.reads(); !slices.Equal(got, want) {
		b.w.t.Fatalf("%s read %q, not %q", b.who.Person, got, want)
	}
}

// payload checks the header of a WebSocket frame and takes it off.
func payload(t *testing.T, wire []byte) []byte {
	t.Helper()
	if len(wire) < 2 || wire[0] != 0x81 || wire[1]&0x80 != 0 {
		t.Fatalf("not an unmasked final text frame: % x", wire[:min(len(wire), 10)])
	}
	n, body := int(wire[1]), wire[2:]
	switch n {
	case 126:
		n, body = int(binary.BigEndian.Uint16(body)), body[2:]
	case 127:
		n, body = int(binary.BigEndian.Uint64(body)), body[8:]
	}
	if n != len(body) {
		t.Fatalf("the header says %d bytes and %d follow", n, len(body))
	}
	return body
}

// happen publishes an event about a note to the people named, and returns it.
func (w *world) happen(id, note string, audience ...string) *live.Event {
	e := w.event(id, note, audience...)
	w.hub.Publish(e)
	return e
}

func (w *world) event(id, note string, audience ...string) *live.Event {
	lane := 0
	for _, c := range note {
		lane = (lane + int(c)) % live.Lanes
	}
	w.next[live.NoteStream][lane]++
	return &live.Event{
		Stream: live.NoteStream, Lane: lane, Position: w.next[live.NoteStream][lane], Outbox: w.next[live.NoteStream],
		ID: id, Type: "note.v1.NoteChanged", Workspace: here, Time: w.time, Audience: slices.Sorted(slices.Values(audience)), Note: note,
		Data: []byte(`{"noteId":"` + note + `"}`),
	}
}

// unshare publishes that person may not see note any more; audience includes them.
func (w *world) unshare(id, note, person string, audience ...string) {
	e := w.event(id, note, append(audience, person)...)
	e.Withdrawn.From = person
	w.hub.Publish(e)
}

// end publishes what ends sessions.
func (w *world) end(workspace string, ending live.Ending) {
	w.next[live.UserStream][0]++
	w.hub.Publish(&live.Event{
		Stream: live.UserStream, Position: w.next[live.UserStream][0], Outbox: w.next[live.UserStream],
		ID: "end", Type: "user.v1.SessionsRevoked", Workspace: workspace, Time: w.time, Ended: &ending, Data: []byte(`{}`),
	})
}

// applied publishes that a workspace is suspended, or is not.
func (w *world) applied(workspace string, suspended bool) {
	w.next[live.UserStream][0]++
	w.hub.Publish(&live.Event{
		Stream: live.UserStream, Position: w.next[live.UserStream][0], Outbox: w.next[live.UserStream],
		ID: "applied", Type: "workspace.v1.WorkspaceApplied", Workspace: workspace, Time: w.time, Suspended: &suspended, Data: []byte(`{}`),
	})
}

func (w *world) pass(d time.Duration) { w.time = w.time.Add(d) }
