package embeddedpg_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/embeddedpg"
)

func TestTrigramsSeeChinese(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	conn := connect(t, s)
	var trigrams []string
	mustExec(t, conn, "create extension pg_trgm")
	if err := conn.QueryRow(t.Context(), "select show_trgm('中文笔记')").Scan(&trigrams); err != nil {
		t.Fatal(err)
	}
	if len(trigrams) == 0 {
		t.Fatal("pg_trgm sees no letters in Chinese text: LC_CTYPE is not a UTF-8 one")
	}
}

func start(t *testing.T, dir string) *embeddedpg.Server {
	t.Helper()
	s, err := embeddedpg.Start(t.Context(), embeddedpg.Config{DataDir: dir, Settings: embeddedpg.ForTests()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, s *embeddedpg.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
