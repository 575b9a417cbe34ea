package systemtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"noteworks.dev/test/client"
)

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

	invitation := w.invite(ann, "gus@example.com")

	otherURL := strings.Replace(w.stack.URL(), "localhost", "other.localhost", 1)
	mallory := client.New(otherURL, client.Loopback())
	email, secretOf := w.stack.Owner("other")
	w.must(mallory.Login(w.ctx(), email, secretOf))
	own, err := mallory.Create(w.ctx(), "Mallory's", "own")
	w.must(err)

	all := operations(t)
	bodies := goodBodies(t, all)
	for _, o := range all {
		if o.by != "accessToken" {
			continue // they act on the workspace of the Host and name no ids
		}
		for host, base := range map[string]string{"own": otherURL, "the other": w.stack.URL()} {
			for ids, path := range map[string]string{
				"the other's":          at(o, secret.ID, bob.User().ID, invitation.ID),
				"the other's and own":  at(o, secret.ID, mallory.User().ID, invitation.ID),
				"own and the other's ": at(o, own.ID, bob.User().ID, invitation.ID),
			} {
				name := fmt.Sprintf("%s %s at host of %s with ids %s", o.method, o.path, host, ids)
				status, answer := w.call(base, mallory.Token(), o, bodies[o.id], path)
				if status >= 500 {
					t.Errorf("%s: %d %s", name, status, answer)
				}
				for _, forbidden := range []string{
					"nobody else", "Secret of", bob.User().ID, ann.User().ID, "bob@example.com", invitation.ID, invitation.Code, "gus@example.com",
				} {
					if strings.Contains(answer, forbidden) && !strings.Contains(path, forbidden) {
						t.Errorf("%s answered %d with what is the other workspace's: %s", name, status, answer)
					}
				}
				if strings.Contains(path, secret.ID) || strings.Contains(path, invitation.ID) || (strings.Contains(path, bob.User().ID) && o.method != http.MethodDelete) {
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
	w.must(bob.Login(w.ctx(), "bob@example.com", password))
	gus := client.New(w.stack.URL(), client.Loopback())
	_, err = gus.Do(w.ctx(), http.MethodPost, "/api/v1/auth/register", nil, map[string]string{
		"email": "gus@example.com", "name": "Gus", "password": "correct horse battery staple", "invitation": invitation.Code,
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

func at(o operation, noteID, userID, invitationID string) string {
	return o.at(map[string]string{"id": noteID, "userId": userID, "invitationId": invitationID, "version": "1"})
}

func (w *world) call(base, token string, o operation, content object, path string) (int, string) {
	w.t.Helper()
	var body io.Reader
	if content != nil {
		body = strings.NewReader(content.String())
	}
	req, err := http.NewRequestWithContext(w.ctx(), o.method, base+path, body)
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
