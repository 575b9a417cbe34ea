package pg

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm/logger"
)

// queryLog is gorm's logger. Errors are returned to callers and not logged here; a slow statement is, with its
// placeholders in place of values.
type queryLog struct {
	log  *slog.Logger
	slow time.Duration
}

// LogMode is part of gorm's interface: the level is slog's to set.
func (l queryLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info is part of gorm's interface.
func (queryLog) Info(context.Context, string, ...any) {}

// Warn is part of gorm's interface.
func (queryLog) Warn(context.Context, string, ...any) {}

// Error is part of gorm's interface.
func (queryLog) Error(context.Context, string, ...any) {}

// Trace is called after each statement.
func (l queryLog) Trace(ctx context.Context, begin time.Time, statement func() (string, int64), _ error) {
	took := time.Since(begin)
	if took < l.slow {
		return
	}
	sql, rows := statement()
	l.log.WarnContext(ctx, "slow query", slog.String("sql", sql), slog.Int64("rows", rows), slog.Duration("took", took))
}

// ParamsFilter makes gorm leave values out of what Trace is given.
func (queryLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
