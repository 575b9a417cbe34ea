package systemtest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"noteworks.dev/test/client"
)

// within is the time after which nobody may act or see on an authority that was taken away.
const within = time.Second

func TestARemovedShareEndsOnOpenSocketsWithinASecond(t *testing.T) {
	t.Parallel()
	worlds(t, func(w *world) {
		ann, bob := w.owner(), w.signUp("bob")
		n, err := ann.Create(w.ctx(), "Hello", "hello")
		w.must(err)
		live := w.watch(bob, "")
		w.must(ann.Share(w.ctx(), n.ID, bob.User().ID, "viewer"))
		w.waitFor(live, "note.v1.NoteShared", n.ID)
		w.must(ann.Unshare(w.ctx(), n.ID, bob.User().ID))
		began := time.Now()
		w.waitFor(live, "note.v1.NoteUnshared", n.ID)
		if took := time.Since(began); took > within {
			w.t.Errorf("the removed share took effect after %v", took)
		}
		_, err = ann.Change(w.ctx(), n.ID, n.Version, "not for Bob")
		w.must(err)
		other, err := ann.Create(w.ctx(), "Other", "for Bob")
		w.must(err)
		w.must(ann.Share(w.ctx(), other.ID, bob.User().ID, "viewer"))
		if f := w.nextNoteEvent(live); !strings.Contains(string(f.Data), other.ID) {
			w.t.Errorf("after the share was removed Bob still saw %s %s", f.Event, f.Data)
		}
		if _, err := bob.Note(w.ctx(), n.ID); client.StatusOf(err) != http.StatusNotFound {
			w.t.Errorf("Bob reads the note after the share was removed: %v", err)
		}
	})
}

// nextNoteEvent returns the next event frame of the note service.
func (w *world) nextNoteEvent(l *client.Live) client.Frame {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		f, err := l.Next(ctx)
		w.must(err)
		if strings.HasPrefix(f.Event, "note.v1.") {
			return f
		}
	}
}

func TestEndedSessionsCloseTheirSocketsAndAreRefusedWithinASecond(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery staple"
	for name, end := range map[string]func(w *world, owner, bob *client.Client) error{
		"deactivated": func(w *world, owner, bob *client.Client) error {
			_, err := owner.Do(w.ctx(), http.MethodPost, "/api/v1/users/"+bob.User().ID+"/deactivate", nil, nil, nil)
			return err
		},
		"deleted": func(w *world, owner, bob *client.Client) error {
			_, err := owner.Do(w.ctx(), http.MethodDelete, "/api/v1/users/"+bob.User().ID, nil, nil, nil)
			return err
		},
		"password changed in another browser": func(w *world, _, bob *client.Client) error {
			elsewhere := client.New(w.stack.URL(), nil)
			if err := elsewhere.Login(w.ctx(), bob.User().Email, password); err != nil {
				return err
			}
			_, err := elsewhere.Do(w.ctx(), http.MethodPatch, "/api/v1/me", nil, map[string]string{"currentPassword": password, "newPassword": "another horse battery staple"}, nil)
			return err
		},
		"signed out": func(w *world, _, bob *client.Client) error { return bob.Logout(w.ctx()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, nil)
			owner, bob := w.owner(), w.signUp("bob")
			live := w.watch(bob, "")
			w.must(end(w, owner, bob))
			ctx, cancel := context.WithTimeout(w.ctx(), within)
			defer cancel()
			for {
				f, err := live.Next(ctx)
				if ctx.Err() != nil {
					t.Fatalf("the socket is still open %v after it should have ended", within)
				}
				if err != nil || (f.Type == "error" && f.Code == "session-ended") {
					break
				}
			}
			if _, err := bob.List(w.ctx(), ""); client.StatusOf(err) != http.StatusUnauthorized {
				t.Errorf("the ended session still lists notes: %v", err)
			}
		})
	}
}

func TestIdentityComesFromTheTokenAndNeverFromAHeader(t *testing.T) {
	t.Parallel()
	w := startWorld(t, nil)
	ann, bob := w.owner(), w.signUp("bob")
	n, err := ann.Create(w.ctx(), "Hello", "hello")
	w.must(err)
	claims := http.Header{
		"X-User-Id":       {ann.User().ID},
		"X-Workspace-Id":  {"00000000-0000-7000-8000-000000000001"},
		"X-Forwarded-For": {"203.0.113.9"},
		"Baggage":         {"user.id=" + ann.User().ID + ",filler=" + strings.Repeat("x", 6000)},
		"Traceparent":     {"00-ffffffffffffffffffffffffffffffff-0000000000000000-zz"},
	}
	if _, err := bob.Do(w.ctx(), http.MethodGet, "/api/v1/notes/"+n.ID, claims, nil, nil); client.StatusOf(err) != http.StatusNotFound {
		t.Errorf("Bob claims to be Ann in headers and gets: %v", err)
	}
	anonymous := client.New(w.stack.URL(), nil)
	if _, err := anonymous.Do(w.ctx(), http.MethodGet, "/api/v1/notes/"+n.ID, claims, nil, nil); client.StatusOf(err) != http.StatusUnauthorized {
		t.Errorf("without a token, claims in headers get: %v", err)
	}
}

func TestThePublicDoorAnswersNoInternalCall(t *testing.T) {
	t.Parallel()
	w := startWorld(t, nil)
	_, token := w.stack.UserRPC()
	anonymous := client.New(w.stack.URL(), nil)
	for _, path := range []string{
		"/workspace.v1.WorkspaceService/ApplyWorkspace", "/user.v1.DirectoryService/GetPerson", "/note.v1.UsageService/GetUsage",
		"/.well-known/jwks.json", "/metrics", "/livez", "/readyz",
	} {
		for _, contentType := range []string{"application/json", "application/proto", "application/grpc", "application/grpc-web+proto"} {
			header := http.Header{"Content-Type": {contentType}, "Authorization": {"Bearer " + token}}
			if _, err := anonymous.Do(w.ctx(), http.MethodPost, path, header, nil, nil); err == nil {
				t.Errorf("POST %s as %s was answered at the public door", path, contentType)
			}
		}
	}
}

func TestAWorkspaceThatDoesNotExistHasAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	w := startWorld(t, nil)
	nowhere := client.New(strings.Replace(w.stack.URL(), "localhost", "nowhere.localhost", 1), client.Loopback())
	_, err := nowhere.Do(w.ctx(), http.MethodGet, "/", http.Header{"Accept": {"text/html"}}, nil, nil)
	if client.StatusOf(err) != http.StatusNotFound || !strings.Contains(strings.ToLower(err.Error()), "<!doctype html") {
		t.Errorf("the page of a workspace that does not exist: %v", err)
	}
	if err := nowhere.Login(w.ctx(), "a@example.com", "correct horse battery staple"); client.StatusOf(err) != http.StatusNotFound {
		t.Errorf("signing in to a workspace that does not exist: %v", err)
	}
}
