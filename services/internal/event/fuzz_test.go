package event

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	notev1 "noteworks.dev/services/api/gen/note/v1"
)

// FuzzEnvelope: a message that is taken is of the workspace of its subject and comes back the same when its event is written again; any other is malformed for
// good, and so is data that is not the message's.
func FuzzEnvelope(f *testing.F) {
	const workspace, id = "0190a5b4-0000-7000-8000-000000000001", "0190a5b4-0000-7000-8000-000000000002"
	f.Add("ws."+workspace+".note.v1.NoteShared", id, "note.v1.NoteShared", "2026-11-27T10:00:00.5Z", "a,b", "3", "7", "0,1,2,3", []byte(`{"noteId":"x"}`))
	f.Add("ws.*.x", "", "x", "now", ",", "-1", "99999999999999999999", "", []byte(`[]`))
	f.Add("ws.>", id, "note.v1.NoteShared", "", "", "", "", ":::", []byte("\xff"))
	f.Fuzz(func(t *testing.T, subject, id, kind, at, audience, lane, position, cursor string, data []byte) {
		h := nats.Header{}
		for name, value := range map[string]string{
			headerID: id, headerType: kind, headerTime: at, headerAudience: audience, headerLane: lane, headerPosition: position, headerCursor: cursor, headerSubject: "key", headerSource: "note",
		} {
			h[name] = []string{value}
		}
		e, err := parse(subject, h, data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("to be tried again: %v", err)
			}
			return
		}
		if e.Subject() != subject || !strings.HasPrefix(subject, "ws."+e.WorkspaceID+".") || strings.ContainsAny(e.WorkspaceID, "*>. ") || e.Lane < 0 || e.Lane >= Lanes {
			t.Fatalf("%q is taken as %+v", subject, e)
		}
		if again, err := parse(subject, headersOf(e), data); err != nil || !again.Time.Equal(e.Time) || !reflect.DeepEqual(withoutTime(again), withoutTime(e)) {
			t.Fatalf("%+v comes back as %+v, %v", e, again, err)
		}
		e.Type = "note.v1.NoteShared"
		if _, err := Decode[*notev1.NoteShared](e); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("to be tried again: %v", err)
		}
	})
}

func withoutTime(e Event) Event {
	e.Time = Event{}.Time
	return e
}
