package pg

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/telemetry"
)

// fresh is the URL as its file has it now. A file that cannot be read is a secret that is being replaced: what was known before is used, and refused
// if it is not good any more.
func fresh(file string, known config.Secret) (config.Secret, error) {
	if file == "" {
		return known, nil
	}
	now, err := config.ReadFile(file)
	if err != nil {
		return known, err
	}
	return now, nil
}

// renew is a pgxpool.Config.BeforeConnect that takes address, role and password from the file of the URL as they are now.
func (c Config) renew(log *slog.Logger) func(context.Context, *pgx.ConnConfig) error {
	return func(ctx context.Context, conn *pgx.ConnConfig) error {
		if c.URLFile == "" {
			return nil
		}
		url, err := fresh(c.URLFile, c.URL)
		if err != nil {
			log.WarnContext(ctx, "the file of DATABASE_URL is unreadable", telemetry.Err(err))
		}
		now, err := pgx.ParseConfig(url.Reveal())
		if err != nil {
			return fmt.Errorf("%w: the file of DATABASE_URL holds no PostgreSQL URL", errNoConnection) // err would quote it
		}
		conn.Host, conn.Port, conn.Database = now.Host, now.Port, now.Database
		conn.User, conn.Password = now.User, now.Password
		conn.TLSConfig, conn.Fallbacks = now.TLSConfig, now.Fallbacks
		return nil
	}
}
