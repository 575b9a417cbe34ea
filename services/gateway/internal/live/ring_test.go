package live_test

import (
	"runtime"
	"testing"
	"unsafe"
	"weak"

	"noteworks.dev/services/gateway/internal/live"
)

func TestWhatTheRingKeepsDoesNotKeepTheMessageItCameIn(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	const id, far = "here is a long name", 16 << 10
	message := new([far + len(id)]byte)
	copy(message[far:], id)
	text := unsafe.String(&message[far], len(id)) // as names read from the headers of a message are parts of it
	e := w.event("e1", id, "ann")
	e.Note, e.Workspace, e.Audience = text, text, []string{text}
	w.hub.Publish(e)
	if w.hub.Stats().RingEvents != 1 {
		t.Fatal("it is not kept")
	}
	gone := weak.Make(message)
	runtime.GC()
	if gone.Value() != nil {
		t.Error("the message is still in memory")
	}
	runtime.KeepAlive(w)
}
