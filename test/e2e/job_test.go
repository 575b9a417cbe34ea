//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"noteworks.dev/test/client"
)

func TestTwoPeopleShareANoteLiveAndTheWholeWayStandsInJaeger(t *testing.T) {
	s := sharedStack(t)
	ann, bob := s.person(t, "Ann"), s.person(t, "Bob")
	live, err := bob.Watch(t.Context(), "")
	must(t, err)
	defer live.Close()

	note, err := ann.Create(t.Context(), "Hello", "hello")
	must(t, err)
	share := newClick()
	var found struct{ Items []client.User }
	_, err = ann.Do(t.Context(), http.MethodGet, "/api/v1/users?email="+bob.User().Email, share.header(), nil, &found)
	must(t, err)
	if len(found.Items) != 1 || found.Items[0].ID != bob.User().ID {
		t.Fatalf("Ann looked for Bob and found %v", found.Items)
	}
	_, err = ann.Do(t.Context(), http.MethodPut, "/api/v1/notes/"+note.ID+"/shares/"+bob.User().ID, share.header(), map[string]string{"role": "editor"}, nil)
	must(t, err)
	waitFor(t, live, "note.v1.NoteShared", note.ID)

	edit := newClick()
	header := edit.header()
	header.Set("If-Match", `"1"`)
	_, err = ann.Do(t.Context(), http.MethodPatch, "/api/v1/notes/"+note.ID, header, map[string]string{"body": "hello, Bob"}, &note)
	must(t, err)
	if seen := waitFor(t, live, "note.v1.NoteChanged", note.ID); seen.Body != "hello, Bob" || seen.Version != note.Version || seen.ActorID != ann.User().ID {
		t.Errorf("Bob saw %+v", seen)
	}

	sharing := s.requireInJaeger(t, share,
		[]string{"gateway: GET", "user: GET /api/v1/users"},
		[]string{"gateway: PUT", "note: PUT /api/v1/notes/{id}/shares/{userId}", "note: publish note.v1.NoteShared", "gateway: push note.v1.NoteShared"},
		[]string{"note: publish note.v1.NoteShared", "note: process note.v1.NoteShared"},
	)
	if got := sharing.Services(); !slices.Equal(got, []string{"gateway", "note", "user"}) {
		t.Errorf("the services of the trace are %q", got)
	}
	editing := s.requireInJaeger(t, edit,
		[]string{"gateway: PATCH", "note: PATCH /api/v1/notes/{id}", "note: publish note.v1.NoteChanged", "gateway: push note.v1.NoteChanged"},
		[]string{"note: publish note.v1.NoteChanged", "note: process note.v1.NoteChanged"},
	)
	t.Logf("Ann's change in Jaeger:\n%v", editing)
}

// waitFor reads a socket until it shows an event of a note.
func waitFor(t *testing.T, live *client.Live, event, noteID string) client.Fact {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		f, err := live.Next(ctx)
		if err != nil {
			t.Fatalf("wait for %s of %s: %v", event, noteID, err)
		}
		if f.Event != event {
			continue
		}
		fact, err := f.Fact()
		must(t, err)
		if fact.NoteID == noteID {
			return fact
		}
	}
}
