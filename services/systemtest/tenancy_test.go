package systemtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"noteworks.dev/test/client"
)

// route is one operation of the OpenAPI files.
type route struct {
	method, path string
	body         any // an acceptable one, nil if the operation takes none
	anonymous    bool
}

// bodies are acceptable request bodies by operation; a new operation with a body must be added here or the test fails.
func bodies() map[string]any {
	return map[string]any{
		"register":   map[string]string{"email": "someone@example.com", "name": "Someone", "password": "correct horse battery staple"},
		"login":      map[string]string{"email": "someone@example.com", "password": "correct horse battery staple"},
		"updateMe":   map[string]string{"name": "Renamed"},
		"createNote": map[string]string{"title": "theirs"},
		"updateNote": map[string]string{"title": "taken over"},
		"shareNote":  map[string]string{"role": "editor"},

		"createInvitation": map[string]string{"email": "somebody.else@example.com"},
	}
}

func routes(t *testing.T) []route {
	t.Helper()
	var all []route
	for _, file := range []string{"../api/openapi/user.yaml", "../api/openapi/note.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Paths map[string]map[string]any `yaml:"paths"`
		}
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		for path, operations := range doc.Paths {
			for method, described := range operations {
				if op, ok := described.(map[string]any); ok { // "parameters" is a list
					all = append(all, routeOf(t, method, path, op))
				}
			}
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d operations found in the OpenAPI files", len(all))
	}
	return all
}

func routeOf(t *testing.T, method, path string, op map[string]any) route {
	t.Helper()
	id, _ := op["operationId"].(string)
	body, known := bodies()[id]
	if (op["requestBody"] != nil) != known {
		t.Fatalf("%s: the test has no body for it, or one too many", id)
	}
	_, ownSecurity := op["security"] // only what is anonymous or goes by the cookie differs from the file's
	return route{strings.ToUpper(method), path, body, ownSecurity}
}

// TestNoRouteReachesAcrossWorkspaces walks every operation of both OpenAPI files as the owner of one workspace with the ids of another.
func TestNoRouteReachesAcrossWorkspaces(t *testing.T) {
	t.Parallel()
	w := startWorld(t, nil)
	ann := w.owner()
	bob := w.signUp("bob")
	secret, err := ann.Create(w.ctx(), "Secret of the first workspace", "nobody else may read this")
	w.must(err)
	w.must(ann.Share(w.ctx(), secret.ID, bob.User().ID, "editor"))
	secret, err = ann.Change(w.ctx(), secret.ID, secret.Version, "nobody else may read this either")
	w.must(err)

	invitation := w.invite(ann, "carol@example.com")

	otherURL := strings.Replace(w.stack.URL(), "localhost", "other.localhost", 1)
	mallory := client.New(otherURL, client.Loopback())
	email, password := w.stack.Owner("other")
	w.must(mallory.Login(w.ctx(), email, password))
	own, err := mallory.Create(w.ctx(), "Mallory's", "own")
	w.must(err)

	for _, r := range routes(t) {
		if r.anonymous {
			continue // they act on the workspace of the Host and name no ids
		}
		for host, base := range map[string]string{"own": otherURL, "the other": w.stack.URL()} {
			for ids, path := range map[string]string{
				"the other's":          fill(r.path, secret.ID, bob.User().ID, invitation.ID),
				"the other's and own":  fill(r.path, secret.ID, mallory.User().ID, invitation.ID),
				"own and the other's ": fill(r.path, own.ID, bob.User().ID, invitation.ID),
			} {
				name := fmt.Sprintf("%s %s at host of %s with ids %s", r.method, r.path, host, ids)
				status, answer := w.call(base, mallory.Token(), r, path)
				if status >= 500 {
					t.Errorf("%s: %d %s", name, status, answer)
				}
				for _, forbidden := range []string{
					"nobody else", "Secret of", bob.User().ID, ann.User().ID, "bob@example.com", invitation.ID, invitation.Code, "carol@example.com",
				} {
					if strings.Contains(answer, forbidden) && !strings.Contains(path, forbidden) {
						t.Errorf("%s answered %d with what is the other workspace's: %s", name, status, answer)
					}
				}
				if strings.Contains(path, secret.ID) || strings.Contains(path, invitation.ID) || (strings.Contains(path, bob.User().ID) && r.method != http.MethodDelete) {
					if status != http.StatusNotFound && status != http.StatusUnauthorized {
						t.Errorf("%s answered %d, not 404: %s", name, status, answer)
					}
				}
			}
		}
	}

	after, err := bob.Note(w.ctx(), secret.ID)
	w.must(err)
	if after.Version != secret.Version || after.Body != secret.Body || after.Title != secret.Title {
		t.Errorf("the note of the first workspace changed: %+v", after)
	}
	w.must(bob.Login(w.ctx(), "bob@example.com", "correct horse battery staple"))
	carol := client.New(w.stack.URL(), client.Loopback())
	_, err = carol.Do(w.ctx(), http.MethodPost, "/api/v1/auth/register", nil, map[string]string{
		"email": "carol@example.com", "name": "Carol", "password": "correct horse battery staple", "invitation": invitation.Code,
	}, nil)
	w.must(err)
}

// invitation is what an owner hands over.
type invitation struct {
	ID   string `json:"id"`
	Code string `json:"code"`
}

func (w *world) invite(owner *client.Client, email string) invitation {
	w.t.Helper()
	var made invitation
	_, err := owner.Do(w.ctx(), http.MethodPost, "/api/v1/invitations", nil, map[string]string{"email": email}, &made)
	w.must(err)
	return made
}

// fill puts ids into a path template.
func fill(path, noteID, userID, invitationID string) string {
	return strings.NewReplacer("{id}", noteID, "{userId}", userID, "{invitationId}", invitationID, "{version}", "1").Replace(path)
}

func (w *world) call(base, token string, r route, path string) (int, string) {
	w.t.Helper()
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		w.must(err)
		body = strings.NewReader(string(data))
	}
	req, err := http.NewRequestWithContext(w.ctx(), r.method, base+path, body)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("If-Match", `"2"`)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{Transport: client.Loopback()}).Do(req)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp.StatusCode, string(answer)
}
