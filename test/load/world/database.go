package world

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Database is the URL of a database of the private PostgreSQL for its superuser, whom row-level security does not hold. Whoever runs the stack may read
// the password where the stack keeps it.
func (w *World) Database(name string) (string, error) {
	password, err := os.ReadFile(filepath.Join(w.dir, "postgres", "superuser"))
	if err != nil {
		return "", fmt.Errorf("the private PostgreSQL: %w", err)
	}
	socket, err := os.ReadFile(filepath.Join(w.dir, "postgres", "socket"))
	if err != nil {
		return "", fmt.Errorf("the private PostgreSQL: %w", err)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", strings.TrimSpace(string(password))), Path: "/" + name,
		RawQuery: url.Values{"host": {strings.TrimSpace(string(socket))}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String(), nil
}

// NewDatabase makes an empty one beside those of the services, and answers its URL.
func (w *World) NewDatabase(ctx context.Context, name string) (string, error) {
	err := w.in(ctx, "postgres", func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make the database %s: %w", name, err)
	}
	return w.Database(name)
}

// in connects to a database for as long as do takes.
func (w *World) in(ctx context.Context, database string, do func(*pgx.Conn) error) error {
	at, err := w.Database(database)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return do(conn)
}
