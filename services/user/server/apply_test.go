package server_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/user/server"
)

// list runs the command apply-workspaces with a list, and a file for each password by its slug.
func (w *world) list(workspaces string, passwords map[string]string) (status int, said string) {
	w.t.Helper()
	dir := w.t.TempDir()
	for slug, password := range passwords {
		if err := os.WriteFile(filepath.Join(dir, slug), []byte(password+"\n"), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	var out, problems bytes.Buffer
	status = server.Program().Execute(w.t.Context(), []string{"apply-workspaces"}, config.Map(map[string]string{
		"DATABASE_URL": w.db.Config.URL.Reveal(), "WORKSPACES": workspaces, "WORKSPACE_PASSWORDS_DIR": dir,
	}), &out, &problems)
	for _, password := range passwords {
		if strings.Contains(out.String()+problems.String(), password) {
			w.t.Errorf("a password was told: %s%s", &out, &problems)
		}
	}
	return status, out.String() + problems.String()
}

const team = `[{"slug":"team","title":"Our team","owner":{"email":"ann@example.org","name":"Ann"}}]`

func TestAListedWorkspaceIsThereWithItsOwner(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	passwords := map[string]string{"team": "the cat of schroedinger"}
	events := w.since(func() {
		if status, said := w.list(team, passwords); status != program.Done {
			t.Fatalf("status %d: %s", status, said)
		}
	})
	requireTypes(t, events, "workspace.v1.WorkspaceApplied user.v1.UserRegistered")
	w.browser("team").login("ann@example.org", passwords["team"]).require(t, http.StatusOK)

	events = w.since(func() {
		for range 2 {
			if status, said := w.list(team, passwords); status != program.Done {
				t.Fatalf("again: status %d: %s", status, said)
			}
		}
	})
	requireTypes(t, events, "")
	events = w.since(func() {
		w.list(strings.Replace(team, "Our", "Your", 1), map[string]string{"team": "another one, too late"})
	})
	requireTypes(t, events, "workspace.v1.WorkspaceApplied")
	w.browser("team").login("ann@example.org", passwords["team"]).require(t, http.StatusOK)
}

func TestTheWorkspaceOfABareHostHasTheSameIDEverywhere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	// The world's own has an id of its own, and the slug: it is left alone.
	status, said := w.list(strings.Replace(team, "team", "default", 1), map[string]string{"default": password})
	if status != program.Done || !strings.Contains(said, "left alone") {
		t.Errorf("status %d: %s", status, said)
	}
	if _, err := w.operator().DeleteWorkspace(t.Context(), deletion(w.workspaceID("default"))); err != nil {
		t.Fatal(err)
	}
	if status, said := w.list(strings.Replace(team, "team", "default", 1), map[string]string{"default": password}); status != program.Done {
		t.Errorf("status %d: %s", status, said)
	}
	if id := w.workspaceID("default"); id != server.DefaultWorkspace {
		t.Errorf("the id is %s", id)
	}
}

func TestAListThatIsWrongSaysWhere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	good := map[string]string{"team": "the cat of schroedinger"}
	for name, c := range map[string]struct {
		list      string
		passwords map[string]string
		told      string
	}{
		"no list":          {"", good, "WORKSPACES is empty"},
		"no JSON":          {"team", good, "WORKSPACES cannot be read"},
		"unknown field":    {`[{"slug":"team","colour":"red"}]`, good, "colour"},
		"no password":      {team, nil, "the owner's first password"},
		"a short password": {team, map[string]string{"team": "2short"}, "workspace team: owner.password"},
		"no address":       {`[{"slug":"team","owner":{"name":"Ann"}}]`, good, "workspace team: owner.email"},
		"a wrong slug":     {strings.Replace(team, `"team"`, `"../team"`, 1), good, "workspace ../team: slug"},
	} {
		events := w.since(func() {
			if status, said := w.list(c.list, c.passwords); status != program.Failed || !strings.Contains(said, c.told) {
				t.Errorf("%s: status %d: %s; want %q", name, status, said, c.told)
			}
		})
		requireTypes(t, events, "")
	}
}

// workspaceID is the id of the workspace that the slug leads to.
func (w *world) workspaceID(slug string) string {
	w.t.Helper()
	var id string
	if err := w.db.Superuser.QueryRow(w.t.Context(), "select workspace_id::text from slugs where slug = $1", slug).Scan(&id); err != nil {
		w.t.Fatal(err)
	}
	return id
}
