package systemtest

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"noteworks.dev/test/client"
)

// attacked is a stack of real programs with something in it that must not change, whatever is sent.
type attacked struct {
	*world
	operations []operation
	documented map[string]bool   // codes
	settings   *settings         // of the services, as the stack chose them
	bodies     map[string]object // an acceptable one for each operation that takes one

	ann, bob, mallory *client.Client // the owner, a member who may edit ann's note, the owner of the other workspace
	ids               map[string]string
	version           int    // of ann's note
	cursor            string // of bob's live socket before it all
	before            string

	kid string // of the key that signs access tokens
	key ed25519.PrivateKey
}

// settings remembers what each service was started with.
type settings struct {
	mu sync.Mutex
	of map[string]map[string]string
}

func (s *settings) around(launch launcher) launcher {
	return func(ctx context.Context, service string, given map[string]string) (func(context.Context) error, error) {
		s.mu.Lock()
		s.of[service] = maps.Clone(given)
		s.mu.Unlock()
		return launch(ctx, service, given)
	}
}

func attack(t *testing.T) *attacked {
	t.Helper()
	a := &attacked{operations: operations(t), documented: documentedCodes(t), settings: &settings{of: map[string]map[string]string{}}}
	a.bodies = goodBodies(t, a.operations)
	a.world = startWorld(t, func(l *logs, c *collector) launcher { return a.settings.around(launchPrograms(t)(l, c)) })
	a.ann, a.bob = a.owner(), a.signUp("bob")
	a.mallory = client.New(a.otherURL(), client.Loopback())
	email, secret := a.stack.Owner("other")
	a.must(a.mallory.Login(a.ctx(), email, secret))

	n, err := a.ann.Create(a.ctx(), "Plan", "first")
	a.must(err)
	a.must(a.ann.Share(a.ctx(), n.ID, a.bob.User().ID, "editor"))
	n, err = a.ann.Change(a.ctx(), n.ID, n.Version, "second")
	a.must(err)
	trashed, err := a.ann.Create(a.ctx(), "Trashed", "gone")
	a.must(err)
	_, err = a.ann.Do(a.ctx(), http.MethodDelete, "/api/v1/notes/"+trashed.ID, nil, nil, nil)
	a.must(err)
	a.version = n.Version
	a.ids = map[string]string{
		"id": n.ID, "userId": a.bob.User().ID, "version": "1", "invitationId": a.invite(a.ann, "dora@example.com").ID,
	}
	live := a.watch(a.bob, "")
	a.waitForAll(live)
	a.kid, a.key = a.signingKey()
	a.before = a.everything()
	return a
}

// waitForAll reads bob's socket up to the last thing that has happened so far.
func (a *attacked) waitForAll(live *client.Live) {
	a.t.Helper()
	n, err := a.ann.Create(a.ctx(), "Last", "of the beginning")
	a.must(err)
	a.must(a.ann.Share(a.ctx(), n.ID, a.bob.User().ID, "viewer"))
	a.cursor = a.waitFor(live, "note.v1.NoteShared", n.ID).Cursor
	live.Close()
}

func (a *attacked) otherURL() string {
	return strings.Replace(a.stack.URL(), "localhost", "other.localhost", 1)
}

// everything is what three people see of both workspaces, through every door that shows something.
func (a *attacked) everything() string {
	a.t.Helper()
	var all strings.Builder
	for _, c := range []*client.Client{a.ann, a.bob, a.mallory} {
		paths := []string{"/api/v1/workspace", "/api/v1/me", "/api/v1/users?limit=100", "/api/v1/tags"}
		if c != a.bob {
			paths = append(paths, "/api/v1/invitations?limit=100")
		}
		for _, view := range []string{"all", "mine", "shared", "pinned", "archived", "trash"} {
			paths = append(paths, "/api/v1/notes?limit=100&view="+view)
		}
		if c != a.mallory {
			at := "/api/v1/notes/" + a.ids["id"]
			paths = append(paths, at, at+"/shares", at+"/revisions", at+"/revisions/1")
		}
		for _, path := range paths {
			var body json.RawMessage
			_, err := c.Do(a.ctx(), http.MethodGet, path, nil, nil, &body)
			a.must(err)
			fmt.Fprintf(&all, "%s of %s: %s\n", path, c.User().Email, body)
		}
	}
	return all.String()
}

// requireUnharmed wants everything as it was, nothing told to anybody, and good requests answered.
func (a *attacked) requireUnharmed() {
	a.t.Helper()
	if after := a.everything(); after != a.before {
		a.t.Errorf("something changed:\n%s", differences(a.before, after))
	}
	n, err := a.ann.Change(a.ctx(), a.ids["id"], a.version, "third")
	a.must(err)
	live := a.watch(a.bob, a.cursor)
	for {
		f, err := live.Next(a.ctx())
		a.must(err)
		if f.Type != "event" {
			continue
		}
		fact, err := f.Fact()
		a.must(err)
		if f.Event != "note.v1.NoteChanged" || fact.NoteID != n.ID || fact.Version != n.Version {
			a.t.Errorf("somebody was told %s %s", f.Event, f.Data)
		}
		return
	}
}
