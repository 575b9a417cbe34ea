package systemtest

import (
	"bytes"
	"strings"
	"testing"

	"noteworks.dev/services/allinone/console"
)

// While somebody writes and somebody watches, the streams are emptied and filled again by command: nobody misses anything, or sees it twice.
func TestStreamsAreRebuiltByCommandWhileSomebodyWatches(t *testing.T) {
	t.Parallel()
	worlds(t, func(w *world) {
		ann, bob := w.owner(), w.signUp("bob")
		live := w.watch(bob, "")
		n, err := ann.Create(w.ctx(), "Hello", "0")
		w.must(err)
		w.must(ann.Share(w.ctx(), n.ID, bob.User().ID, "viewer"))
		w.waitFor(live, "note.v1.NoteShared", n.ID)
		for i := range 60 {
			switch i {
			case 20:
				requireSaid(w, w.command("stream", "rebuild", "NOTE"), "Stream NOTE: ", "messages were removed")
			case 40:
				requireSaid(w, w.command("stream", "rebuild", "USER"), "Stream USER: ", "messages were removed")
			}
			n, err = ann.Change(w.ctx(), n.ID, n.Version, "again")
			w.must(err)
		}
		requireEachVersionOnce(w, live, n)
		requireSaid(w, w.command("outbox", "status"), "note     NOTE", "user     USER", "connected")
		requireSaid(w, w.command("dlq", "ls"), "There are no dead letters.")
	})
}

// command is the noteworks command, used where the stack runs.
func (w *world) command(words ...string) string {
	w.t.Helper()
	var out, complaint bytes.Buffer
	if status := console.Run(w.ctx(), append(words, "--data", w.data), &out, &complaint); status != 0 {
		w.t.Fatalf("noteworks %s: status %d: %s", strings.Join(words, " "), status, &complaint)
	}
	return out.String()
}

func requireSaid(w *world, text string, parts ...string) {
	w.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			w.t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
