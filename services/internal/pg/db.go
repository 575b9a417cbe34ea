// Package pg is the one way to PostgreSQL: a pool, the transaction that says which workspace it works for, and migrations.
//
// It promises: a transaction of InWorkspace sees and writes rows of that workspace only, and the setting it makes never
// outlives it; deadlocks and serialization failures are tried again; while the database is away or has no room, callers
// get errs.Unavailable within Config.AcquireTimeout and nothing piles up; a context that ends ends its query on the
// server, too. Neither spans nor logs hold the parameters of a statement.
//
// Imports gorm, pgx, goose and the kit's errs, config and telemetry. Knows no table.
package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/telemetry"
)

// Config is how a service reaches its database.
type Config struct {
	URL        config.Secret `env:"DATABASE_URL,required" should:"the service's own role: postgres://role:password@host/database"`
	MigrateURL config.Secret `env:"MIGRATE_DATABASE_URL" should:"the owner's role: postgres://owner:password@host/database"`
	// The files that the URLs came from, if they did: read again for each connection, so that a rotated password needs no restart.
	URLFile        string        `env:"DATABASE_URL_FILE"`
	MigrateURLFile string        `env:"MIGRATE_DATABASE_URL_FILE"`
	MaxConns       int32         `env:"DATABASE_MAX_CONNS" envDefault:"16" should:"a whole number of connections, at least 2"`
	AcquireTimeout time.Duration `env:"DATABASE_ACQUIRE_TIMEOUT" envDefault:"250ms"` // for a connection and its first answer
	LockTimeout    time.Duration `env:"DATABASE_LOCK_TIMEOUT" envDefault:"250ms"`    // for a row that another transaction holds
	SlowQuery      time.Duration `env:"DATABASE_SLOW_QUERY" envDefault:"500ms"`      // from here on a statement is logged

	Now func() time.Time // nil: time.Now
}

const (
	defaultMaxConns       = 16
	defaultAcquireTimeout = 250 * time.Millisecond
	defaultLockTimeout    = 250 * time.Millisecond
	defaultSlowQuery      = 500 * time.Millisecond
)

// withDefaults completes a Config that was not read from the environment.
func (c Config) withDefaults() Config {
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns
	}
	if c.AcquireTimeout == 0 {
		c.AcquireTimeout = defaultAcquireTimeout
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = defaultLockTimeout
	}
	if c.SlowQuery == 0 {
		c.SlowQuery = defaultSlowQuery
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate is for config.Load. Its errors name the setting and hold no part of its value.
func (c *Config) Validate() error {
	var all []error
	for name, url := range map[string]config.Secret{"DATABASE_URL": c.URL, "MIGRATE_DATABASE_URL": c.MigrateURL} {
		if url == "" {
			continue // config.Load has complained where it is required
		}
		if _, err := pgx.ParseConfig(url.Reveal()); err != nil {
			all = append(all, &config.SettingError{
				Name: name, Problem: "is not a PostgreSQL URL", Should: "postgres://role:password@host/database",
			})
		}
	}
	if c.MaxConns < 2 {
		all = append(all, &config.SettingError{
			Name: "DATABASE_MAX_CONNS", Problem: "is too small", Should: "at least 2",
		})
	}
	return errors.Join(all...)
}

// DB is a pool of connections. It is safe for concurrent use.
type DB struct {
	cfg    Config
	pool   *pgxpool.Pool
	sql    *sql.DB
	gorm   *gorm.DB
	health *health
}

// Open makes the pool. It does not fail because the server is away: Ready tells.
func Open(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*DB, error) {
	cfg = cfg.withDefaults()
	poolCfg, err := poolConfig(cfg, tel)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolCfg)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	db := &DB{cfg: cfg, pool: pool, sql: openSQL(pool), health: newHealth(cfg.Now)}
	db.gorm, err = gorm.Open(postgres.New(postgres.Config{Conn: db.sql}), &gorm.Config{
		SkipDefaultTransaction: true, // every statement runs in InWorkspace's transaction anyway
		DisableAutomaticPing:   true,
		PrepareStmt:            false, // pgx caches statements itself; gorm's cache on top is slower
		Logger:                 queryLog{log: tel.Log, slow: cfg.SlowQuery},
		NowFunc:                func() time.Time { return cfg.Now().UTC() },
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("gorm: %w", err)
	}
	if err := otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(tel.Meters)); err != nil {
		db.Close()
		return nil, fmt.Errorf("database metrics: %w", err)
	}
	return db, nil
}

func poolConfig(cfg Config, tel *telemetry.Telemetry) (*pgxpool.Config, error) {
	poolCfg, err := pgxpool.ParseConfig(cfg.URL.Reveal())
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a PostgreSQL URL") // err would quote it
	}
	poolCfg.MaxConns = cfg.MaxConns
	poolCfg.MaxConnLifetime = 30 * time.Minute
	poolCfg.MaxConnLifetimeJitter = 5 * time.Minute
	poolCfg.MaxConnIdleTime = 5 * time.Minute
	poolCfg.PingTimeout = cfg.AcquireTimeout // of a connection that has been idle for a second
	poolCfg.BeforeConnect = cfg.renew(tel.Log)
	poolCfg.AfterConnect = scanUTC
	configureConn(poolCfg.ConnConfig, tel)
	params := poolCfg.ConnConfig.RuntimeParams
	params["lock_timeout"] = milliseconds(cfg.LockTimeout)
	// A client that hangs, or is gone without a word, must not hold row and lane locks for the hours TCP takes to notice.
	const silence = 20 * time.Second
	params["idle_in_transaction_session_timeout"] = milliseconds(silence)
	return poolCfg, nil
}

func configureConn(c *pgx.ConnConfig, tel *telemetry.Telemetry) {
	const connectTimeout = 2 * time.Second // the attempt goes on in the background; callers wait AcquireTimeout
	c.ConnectTimeout = connectTimeout
	c.Tracer = newTracer(tel, c.Database)
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		// The query is cancelled on the server; a server that does not answer to that loses the connection.
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
	}
	c.RuntimeParams["timezone"] = "UTC"
	// The safety net under that: the server looks for its client while it works.
	c.RuntimeParams["client_connection_check_interval"] = milliseconds(time.Second)
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// scanUTC makes times that are read come back in UTC, whatever the machine's zone.
func scanUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

// Patience is how long a caller waits for a connection and its first answer; who queues in front of the pool waits no longer.
func (db *DB) Patience() time.Duration { return db.cfg.AcquireTimeout }

// Pool is the pool itself, for sessions with a life of their own (advisory locks) and for COPY. Nothing sets a workspace on its connections:
// no tenant row is seen through them.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Close waits for connections in use and closes all. The DB must not be used after it.
func (db *DB) Close() {
	_ = db.sql.Close() // it holds no connection of its own
	db.pool.Close()
}
