package server

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	userserver "noteworks.dev/services/user/server"
)

// secrets are made once and kept with the data.
type secrets struct {
	// Database passwords by role, NATS passwords by user, tokens of internal callers by caller.
	Database map[string]string `json:"database"`
	NATS     map[string]string `json:"nats"`
	Callers  map[string]string `json:"callers"`
	// Workspaces by slug.
	Workspaces map[string]registration `json:"workspaces"`
}

// registration is what a workspace is applied with each time.
type registration struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

const defaultSlug = "default"

func (s *secrets) workspace(slug string) registration {
	r, ok := s.Workspaces[slug]
	if !ok {
		r = registration{ID: uuid.Must(uuid.NewV7()).String(), Email: "owner@" + slug + ".example", Password: rand.Text()[:20]}
		if slug == defaultSlug {
			r.ID, r.Email = userserver.DefaultWorkspace, "owner@noteworks.example"
		}
		s.Workspaces[slug] = r
	}
	return r
}

// loadSecrets reads the file and adds what is missing, for a first start and for a version that needs more than the one before.
func loadSecrets(data string, workspaces []Workspace) (*secrets, error) {
	path := filepath.Join(data, "secrets.json")
	s := &secrets{}
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the secrets: %w", err)
	default:
		if err := json.Unmarshal(content, s); err != nil {
			return nil, fmt.Errorf("%s is damaged: %w", path, err)
		}
	}
	s.complete(workspaces)
	completed, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	if string(completed) == string(content) {
		return s, nil
	}
	return s, writePrivate(path, completed)
}

func (s *secrets) complete(workspaces []Workspace) {
	fill := func(m *map[string]string, names ...string) {
		if *m == nil {
			*m = map[string]string{}
		}
		for _, n := range names {
			if (*m)[n] == "" {
				(*m)[n] = rand.Text()
			}
		}
	}
	fill(&s.Database, "user_owner", "user_app", "note_owner", "note_app")
	fill(&s.NATS, "user", "note", "gateway")
	fill(&s.Callers, "user", "note", "operator", "admin")
	if s.Workspaces == nil {
		s.Workspaces = map[string]registration{}
	}
	for _, w := range workspaces {
		s.workspace(w.Slug)
	}
}

// writePrivate replaces a file in one step, so that a crash leaves the old or the new one.
func writePrivate(path string, content []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("write the secrets: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write the secrets: %w", err)
	}
	return nil
}
