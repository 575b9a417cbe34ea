package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"noteworks.dev/test/load/world"
)

// kept is what a seeded stack says of itself beside its data, so that it needs not be seeded again.
type kept struct {
	Notes int          `json:"notes"`
	Teams []world.Team `json:"teams"`
}

func (s *suite) keptFile() string { return filepath.Join(s.data, "seeded.json") }

// seeded is a stack with a workspace for each count of notes: the one that is kept in the data directory, or a fresh one.
func (s *suite) seeded(ctx context.Context, counts []int) (*world.World, []world.Team, error) {
	w, err := world.Start(ctx, world.Options{Program: s.program, Log: s.log, Sampled: s.sampled, Data: s.data})
	if err != nil {
		return nil, nil, err
	}
	teams, err := s.recall(ctx, w)
	if err == nil && teams == nil {
		teams, err = s.fill(ctx, w, counts)
	}
	if err != nil {
		w.Close()
		return nil, nil, err
	}
	return w, teams, nil
}

// recall are the teams of the stack that is kept, nil without one. Their tokens are signed anew.
func (s *suite) recall(ctx context.Context, w *world.World) ([]world.Team, error) {
	if s.data == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.keptFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", s.keptFile(), err)
	}
	if k.Notes != s.notes {
		return nil, fmt.Errorf("%s has %d notes, not %d: name another directory", s.data, k.Notes, s.notes)
	}
	return k.Teams, w.Return(ctx, k.Teams)
}

func (s *suite) fill(ctx context.Context, w *world.World, counts []int) ([]world.Team, error) {
	teams, err := w.Teams(ctx, len(counts))
	if err != nil {
		return nil, err
	}
	for i, n := range counts {
		began := time.Now()
		if err := w.Fill(ctx, world.Seed{Count: n, Workspaces: teams[i : i+1], ReaderSees: readerSees}); err != nil {
			return nil, err
		}
		fmt.Printf("  %s notes made in %v\n", thousands(n), time.Since(began).Round(time.Second))
	}
	if err := w.Tidy(ctx); err != nil {
		return nil, err
	}
	if s.data == "" {
		return teams, nil
	}
	text, err := json.Marshal(kept{Notes: s.notes, Teams: teams})
	if err != nil {
		return nil, err
	}
	return teams, os.WriteFile(s.keptFile(), text, 0o600)
}
