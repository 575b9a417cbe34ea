package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const superuser = "postgres"

// AdminURL is the superuser's, to the database postgres. It holds the password.
func (s *Server) AdminURL() string { return s.URL("postgres", superuser, s.password) }

// URL is the connection string of a role to a database of this server. It stays the same over Kill and Restart.
func (s *Server) URL(database, role, password string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {s.socket}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}

// EnsureRole makes a role that may sign in and nothing else, or corrects one that is there.
func (s *Server) EnsureRole(ctx context.Context, name, password string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		return EnsureRole(ctx, conn, name, password)
	})
}

// EnsureDatabase makes a database that owner owns and only owner and the named others may connect to, or corrects the
// rights of one that is there.
func (s *Server) EnsureDatabase(ctx context.Context, name, owner string, others ...string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		return EnsureDatabase(ctx, conn, name, owner, others...)
	})
}

func (s *Server) admin(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.AdminURL())
	if err != nil {
		return fmt.Errorf("administer PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return do(conn)
}

// EnsureRole is the method's work over a superuser's connection to any server.
func EnsureRole(ctx context.Context, conn *pgx.Conn, name, password string) error {
	ident := pgx.Identifier{name}.Sanitize()
	_, err := conn.Exec(ctx, "create role "+ident)
	if err != nil && !isCode(err, duplicateObject, uniqueViolation) { // the second when two do it at once
		return fmt.Errorf("create role %s: %w", name, err)
	}
	literal, err := conn.PgConn().EscapeString(password)
	if err != nil {
		return fmt.Errorf("role %s: %w", name, err)
	}
	_, err = conn.Exec(ctx, "alter role "+ident+
		" with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password '"+literal+"'")
	if err != nil {
		return fmt.Errorf("alter role %s: %w", name, err)
	}
	return nil
}

// EnsureDatabase is the method's work over a superuser's connection to any server.
func EnsureDatabase(ctx context.Context, conn *pgx.Conn, name, owner string, others ...string) error {
	db, own := pgx.Identifier{name}.Sanitize(), pgx.Identifier{owner}.Sanitize()
	_, err := conn.Exec(ctx, "create database "+db+" owner "+own)
	if err != nil && !isCode(err, duplicateDatabase, uniqueViolation) {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return Restrict(ctx, conn, name, owner, others...)
}

// Restrict gives a database to owner and lets nobody connect but owner and the named others.
func Restrict(ctx context.Context, conn *pgx.Conn, name, owner string, others ...string) error {
	db, own := pgx.Identifier{name}.Sanitize(), pgx.Identifier{owner}.Sanitize()
	statements := []string{
		"alter database " + db + " owner to " + own,
		"revoke all on database " + db + " from public",
	}
	for _, other := range others {
		role := pgx.Identifier{other}.Sanitize()
		statements = append(statements,
			"revoke all on database "+db+" from "+role,
			"grant connect on database "+db+" to "+role)
	}
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("rights on database %s: %w", name, err)
		}
	}
	return nil
}

const (
	duplicateObject   = "42710"
	duplicateDatabase = "42P04"
	uniqueViolation   = "23505"
)

func isCode(err error, codes ...string) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	for _, c := range codes {
		if pgErr.Code == c {
			return true
		}
	}
	return false
}

// pingTimeout bounds one try of a start's poll.
const pingTimeout = 2 * time.Second

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
