package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

const (
	// A database that is not there is tried again after a tenth of a second, then after twice as long, up to two seconds.
	firstTry, lastTry = 100 * time.Millisecond, 2 * time.Second
	tryTimeout        = 5 * time.Second
)

// SQLSTATE codes of a database that is not ready for its service.
const (
	codeUndefinedTable        = "42P01"
	codeUndefinedObject       = "42704"
	codeWrongPassword         = "28P01"
	codeNotAuthorized         = "28000"
	codeInsufficientPrivilege = "42501"
)

// Say is told why something that is waited for is not there yet, after each try. The same reason is the same text.
type Say = func(ctx context.Context, reason error)

// Await returns when the database answers as the service's role and has had all of the migrations, or when ctx ends; its error then holds the
// last reason, too. A database that has had more than these is a newer version's, and good.
func (db *DB) Await(ctx context.Context, say Say, migrations ...fs.FS) error {
	need, err := mergeMigrations(migrations)
	if err != nil {
		return err
	}
	return tryUntil(ctx, say, func(ctx context.Context) (reason error) {
		ctx, cancel := context.WithTimeout(ctx, tryTimeout)
		defer cancel()
		reason = db.lacks(ctx, need)
		if reason == nil {
			db.health.record(ctx, nil)
		}
		return reason
	})
}

// tryUntil tries until there is no reason left against it.
func tryUntil(ctx context.Context, say Say, try func(context.Context) (reason error)) error {
	delay := firstTry
	for {
		reason := try(ctx)
		if reason == nil {
			return nil
		}
		if ctx.Err() == nil {
			say(ctx, reason)
		}
		if ctx.Err() != nil || !pause(ctx, delay) {
			return fmt.Errorf("%w (%w)", ctx.Err(), reason)
		}
		delay = min(2*delay, lastTry)
	}
}

// lacks says what the database lacks to serve with.
func (db *DB) lacks(ctx context.Context, need merged) error {
	if len(need) == 0 {
		return db.pool.Ping(ctx)
	}
	rows, err := db.pool.Query(ctx, "select version_id from goose_db_version where is_applied")
	if err != nil {
		return db.absence(err)
	}
	applied, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return db.absence(err)
	}
	var missing []string
	for name := range need {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
		if !slices.Contains(applied, version) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the database's schema is not up to date: %s, and nobody has run the migration yet", listed(missing))
}

func listed(missing []string) string {
	first := slices.Min(missing)
	if len(missing) == 1 {
		return path.Base(first) + " is missing"
	}
	return path.Base(first) + " and " + strconv.Itoa(len(missing)-1) + " more are missing"
}

func (db *DB) absence(err error) error {
	switch sqlState(err) {
	case codeUndefinedTable:
		return errors.New("the database's schema is not there: nobody has run the migration yet")
	case codeInsufficientPrivilege:
		return errors.New("the service's role may not see the schema's version: nobody has run this version's migration yet")
	}
	return absence(err)
}

// absence is err, of an attempt to reach a database, in one line that is the same for the same cause: without ports of the moment.
func absence(err error) error {
	at, role := "", ""
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) && connecting.Config != nil {
		at, role = " at "+connecting.Config.Host, connecting.Config.User
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		switch answer.Code {
		case codeWrongPassword, codeNotAuthorized:
			return &away{"the database" + at + " refuses the role " + role + ": " + answer.Message, err}
		}
		return &away{"the database" + at + " answers: " + answer.Message + " (" + answer.Code + ")", err}
	}
	return &away{"the database" + at + " cannot be reached: " + cause(err), err}
}

// cause is the system's word for what is wrong with the network.
func cause(err error) string {
	var (
		dns     *net.DNSError
		errno   syscall.Errno
		network net.Error
	)
	switch {
	case err == nil:
		return "it was not tried yet"
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// away says in one line why a database cannot be used now.
type away struct {
	text  string
	cause error
}

func (a *away) Error() string { return a.text }
func (a *away) Unwrap() error { return a.cause }
