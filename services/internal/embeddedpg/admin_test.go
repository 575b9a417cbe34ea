package embeddedpg_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestRolesHaveTheRightsOfTheirDatabaseAndNoOthers(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t))
	ctx := t.Context()
	for range 2 { // again changes nothing
		for _, role := range []string{"note_owner", "note_app", "stranger"} {
			if err := s.EnsureRole(ctx, role, "pw of "+role); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EnsureDatabase(ctx, "notes", "note_owner", "note_app"); err != nil {
			t.Fatal(err)
		}
	}
	url := func(role string) string { return s.URL("notes", role, "pw of "+role) }

	owner := connect(t, url("note_owner"))
	mustExec(t, owner, "create extension pg_trgm") // trusted: no superuser needed
	mustExec(t, owner, "create table notes (n int)")

	app := connect(t, url("note_app"))
	for _, forbidden := range []string{
		"create table mine (n int)", "create temp table mine (n int)", "create schema mine", "select * from notes", "create role mine",
		"create database mine", "alter role note_app superuser", "copy (select 1) to program 'true'", "set role note_owner",
	} {
		if _, err := app.Exec(ctx, forbidden); err == nil {
			t.Errorf("the service's role may %s", forbidden)
		}
	}
	if conn, err := pgx.Connect(ctx, url("stranger")); err == nil {
		t.Error("a role without rights may connect")
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

func TestEnsureRoleSetsANewPassword(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t))
	const odd = `it's "odd" \ and : / ? @ %`
	for _, password := range []string{"first", odd} {
		if err := s.EnsureRole(t.Context(), "role with spaces", password); err != nil {
			t.Fatal(err)
		}
		if err := s.EnsureDatabase(t.Context(), "some-database", "role with spaces"); err != nil {
			t.Fatal(err)
		}
		connect(t, s.URL("some-database", "role with spaces", password))
	}
	if _, err := pgx.Connect(t.Context(), s.URL("some-database", "role with spaces", "first")); err == nil {
		t.Error("the old password still works")
	}
}
