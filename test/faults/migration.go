package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// migrations are faults while a schema is brought up to date.
func migrations() []scenario {
	return []scenario{
		{
			name: "a migration killed half-way", row: "migration killed half-way",
			lasts: time.Second, breaks: nothing, during: killMigration, holds: writesWentOn,
		},
		{
			name: "two migrations at once", row: "two migrations at once",
			lasts: time.Second, breaks: nothing, during: twoMigrations, holds: writesWentOn,
		},
	}
}

// emptyDatabase makes a database for a migration and returns its owner's URL.
func (r *round) emptyDatabase(ctx context.Context, name string) (string, error) {
	err := r.admin(ctx, "postgres", func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "create database "+name+" owner note_owner")
		return err
	})
	if err != nil {
		return "", err
	}
	return r.DatabaseURL(name, "note_owner")
}

// admin does something as PostgreSQL's superuser.
func (r *round) admin(ctx context.Context, database string, do func(*pgx.Conn) error) error {
	url, err := r.DatabaseURL(database, "")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return do(conn)
}

// schema is what a database's tables look like, to compare.
func (r *round) schema(ctx context.Context, database string) (text string, err error) {
	const columns = `select coalesce(string_agg(format('%s.%s %s', table_name, column_name, data_type), ', ' order by table_name, column_name), '')
		from information_schema.columns where table_schema = 'public' and table_name !~ '^outbox_[0-9]'`
	err = r.admin(ctx, database, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, columns).Scan(&text) })
	return text, err
}

func (r *round) asNotes(ctx context.Context, database string) error {
	want, err := r.schema(ctx, "notes")
	if err != nil {
		return err
	}
	got, err := r.schema(ctx, database)
	if err != nil {
		return err
	}
	if got != want || got == "" {
		return fmt.Errorf("the schema is %q, not %q", got, want)
	}
	return nil
}

func killMigration(ctx context.Context, r *round) error {
	const times = 12
	kills := 0
	for i := range times {
		name := fmt.Sprintf("half_%d_%d", time.Now().UnixMilli(), i)
		owner, err := r.emptyDatabase(ctx, name)
		if err != nil {
			return err
		}
		migrate := r.Command("note-1", map[string]string{"MIGRATE_DATABASE_URL": owner}, "migrate")
		if err := migrate.Launch(); err != nil {
			return err
		}
		wait(ctx, time.Duration(20+r.random.IntN(600))*time.Millisecond)
		if migrate.Running() {
			kills++
		}
		migrate.Kill()
		if err := migrate.Launch(); err != nil {
			return err
		}
		if err := migrate.Ended(time.Minute); err != nil {
			return fmt.Errorf("run again: %w", err)
		}
		if err := r.asNotes(ctx, name); err != nil {
			return err
		}
	}
	r.check(kills > 0, "%d of %d were killed under way, and each finished when run again", kills, times)
	return nil
}

func twoMigrations(ctx context.Context, r *round) error {
	name := fmt.Sprintf("two_%d", time.Now().UnixMilli())
	owner, err := r.emptyDatabase(ctx, name)
	if err != nil {
		return err
	}
	one := r.Command("note-1", map[string]string{"MIGRATE_DATABASE_URL": owner}, "migrate")
	two := r.Command("note-2", map[string]string{"MIGRATE_DATABASE_URL": owner}, "migrate")
	for _, m := range []interface{ Launch() error }{one, two} {
		if err := m.Launch(); err != nil {
			return err
		}
	}
	for _, m := range []interface{ Ended(time.Duration) error }{one, two} {
		if err := m.Ended(time.Minute); err != nil {
			return err
		}
	}
	r.check(true, "both ended with 0")
	return r.asNotes(ctx, name)
}
