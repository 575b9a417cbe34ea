package pg

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"noteworks.dev/services/internal/errs"
)

// retryAfter is what callers are told to wait: a restarted PostgreSQL answers again after about that long.
const retryAfter = time.Second

var errNoConnection = errors.New("no database connection became free in time")

// SQLSTATE codes that are looked at.
const (
	codeUniqueViolation      = "23505"
	codeSerializationFailure = "40001"
	codeDeadlock             = "40P01"
	codeLockNotAvailable     = "55P03"
	codeNotSupported         = "0A000"
	codeReadOnly             = "25006" // a former primary
	codeQueryCanceled        = "57014" // and not by the caller, whose context has not ended
	codeAdminShutdown        = "57P01"
	codeCrashShutdown        = "57P02"
	codeCannotConnectNow     = "57P03"
	codeIdleSessionTimeout   = "57P05"
	codeIdleInTransaction    = "25P03"

	classConnection = "08"
	classResources  = "53" // too many connections, disk full, out of memory
)

// codeUnavailable is for callers, as errs have them.
const codeUnavailable = "database-unavailable"

// IsAway tells whether err, which came from a transaction, says that the database cannot be reached: it is the same for everybody at this moment.
func IsAway(err error) bool { return errs.CodeOf(err) == codeUnavailable }

// IsUniqueViolation tells whether err says that the named constraint (or unique index) is violated.
func IsUniqueViolation(err error, constraint string) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == codeUniqueViolation && answer.ConstraintName == constraint
}

// IsState tells whether err is the database's answer with that SQLSTATE.
func IsState(err error, code string) bool { return sqlState(err) == code }

// retryable tells whether the same transaction may well succeed when run again.
func retryable(err error) bool {
	code := sqlState(err)
	return code == codeDeadlock || code == codeSerializationFailure || stalePlan(err) || errors.Is(err, ErrAnew)
}

// stalePlan tells whether a migration has changed a table under a statement that the connection had prepared. pgx forgets
// such a statement when it fails.
func stalePlan(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == codeNotSupported && answer.Routine == "RevalidateCachedQuery"
}

// meaning turns the database's own trouble into the kit's words; all else passes through.
func meaning(ctx context.Context, err error) error {
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	case sqlState(err) == codeLockNotAvailable, retryable(err):
		return errs.Unavailable("busy", "others are changing the same thing; try again").WithRetryAfter(retryAfter).WithCause(err)
	case unavailable(err):
		return errs.Unavailable(codeUnavailable, "the data cannot be reached; try again").WithRetryAfter(retryAfter).WithCause(err)
	}
	return err
}

// unavailable tells whether err is about reaching the server, not about what was asked of it.
func unavailable(err error) bool {
	var (
		connecting *pgconn.ConnectError
		network    net.Error
	)
	if errors.As(err, &connecting) {
		return true // whatever it was refused for: a password that is being changed, too
	}
	if code := sqlState(err); code != "" {
		return unavailableState(code)
	}
	return errors.Is(err, errNoConnection) || errors.Is(err, driver.ErrBadConn) ||
		errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func unavailableState(code string) bool {
	switch code {
	case codeReadOnly, codeQueryCanceled, codeAdminShutdown, codeCrashShutdown, codeCannotConnectNow, codeIdleSessionTimeout, codeIdleInTransaction:
		return true
	}
	return strings.HasPrefix(code, classConnection) || strings.HasPrefix(code, classResources)
}

func sqlState(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}
