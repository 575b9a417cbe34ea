package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// connectPatience is how long Migrate waits for a database that is not there yet: services start in any order.
const connectPatience = 30 * time.Second

// Migrate brings the schema up to date as the owner (Config.MigrateURL, or URL when that is empty), and then gives the
// service's role (the user of URL) the rights it needs and no others. It waits up to 30 s for a database that is away.
//
// Each FS holds goose files, <version>_<what>.sql, at any depth; versions must differ across all of them. By convention
// the outbox has 1-19, the inbox 20-39, services start at 100. A lower version that appears later is still applied.
// Two that migrate at once take turns. One killed half-way leaves whole migrations only; the next run does the rest.
func Migrate(ctx context.Context, cfg Config, migrations ...fs.FS) error {
	waiting, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	if err := tryUntil(waiting, func(context.Context, error) {}, cfg.ownerAway); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := migrateOnce(ctx, cfg, migrations); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// MigrateWhenThere is Migrate, but waits for the database, and for the service's role in it, for as long as ctx lives, and tells say what it waits for.
// When the database goes away half-way, it waits and goes on. The files of the URLs are read again for each try. Its error is of a migration that failed,
// of cfg, or ctx's.
func MigrateWhenThere(ctx context.Context, cfg Config, say Say, migrations ...fs.FS) error {
	var failed error
	err := tryUntil(ctx, say, func(ctx context.Context) (reason error) {
		if reason := cfg.ownerAway(ctx); reason != nil {
			return reason
		}
		failed = migrateOnce(ctx, cfg, migrations)
		switch {
		case failed == nil:
			return nil
		case unavailable(failed):
			return absence(failed)
		case errors.Is(failed, errNoGrantee):
			return failed
		}
		return nil
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// ownerAway is why the owner cannot reach its database now. What is wrong in any other way is for the migration to say.
func (c Config) ownerAway(ctx context.Context) (reason error) {
	db, err := openOwner(c)
	if err != nil {
		return nil
	}
	defer func() { _ = db.Close() }() // nothing is pending on it
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if err := db.PingContext(ctx); err != nil && unavailable(err) {
		return absence(err)
	}
	return nil
}

func migrateOnce(ctx context.Context, cfg Config, migrations []fs.FS) error {
	db, err := openOwner(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing is pending on it
	if err := applyAll(ctx, db, migrations); err != nil {
		return err
	}
	if cfg.MigrateURL == "" || cfg.MigrateURL == cfg.URL {
		return nil
	}
	return grantAll(ctx, db, cfg)
}

func openOwner(cfg Config) (*sql.DB, error) {
	known, file := cfg.MigrateURL, cfg.MigrateURLFile
	if known == "" {
		known, file = cfg.URL, cfg.URLFile
	}
	url, err := fresh(file, known)
	if err != nil {
		url = known
	}
	owner, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errors.New("MIGRATE_DATABASE_URL is not a PostgreSQL URL") // err would quote it
	}
	owner.RuntimeParams["timezone"] = "UTC"
	owner.ConnectTimeout = tryTimeout
	// The lock of one that was killed in a long statement is free after a second, not after the statement.
	owner.RuntimeParams["client_connection_check_interval"] = milliseconds(time.Second)
	return stdlib.OpenDB(*owner), nil
}

func applyAll(ctx context.Context, db *sql.DB, migrations []fs.FS) error {
	merged, err := mergeMigrations(migrations)
	if err != nil || len(merged) == 0 {
		return err
	}
	const tryEverySecond, tries = 1, 600
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(tryEverySecond, tries))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, merged,
		goose.WithSessionLocker(locker), goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil && partial.Failed.Source != nil {
		return fmt.Errorf("%s: %w", partial.Failed.Source.Path, err)
	}
	return err
}

// merged is the migration files of several file systems as one flat directory.
type merged map[string]located

type located struct {
	fsys  fs.FS
	path  string
	entry fs.DirEntry
}

func mergeMigrations(all []fs.FS) (merged, error) {
	files := merged{}
	for _, fsys := range all {
		err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(p) != ".sql" {
				return err
			}
			if _, twice := files[d.Name()]; twice {
				return fmt.Errorf("two migrations are called %s", d.Name())
			}
			files[d.Name()] = located{fsys, p, d}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Open implements fs.FS.
func (m merged) Open(name string) (fs.File, error) {
	at, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return at.fsys.Open(at.path)
}

// ReadDir implements fs.ReadDirFS for the one directory there is.
func (m merged) ReadDir(name string) ([]fs.DirEntry, error) {
	if strings.Trim(name, "./") != "" {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	entries := make([]fs.DirEntry, 0, len(m))
	for _, at := range m {
		entries = append(entries, at.entry)
	}
	return entries, nil
}
