package anchor

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// commit inserts one row a transaction, on n connections at once.
func commit(ctx context.Context, database string, n int, during time.Duration) (sample, error) {
	setup, err := pgx.Connect(ctx, database)
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = setup.Close(ctx) }() // nothing is left to lose
	if _, err := setup.Exec(ctx, `create table if not exists anchor (id bigint generated always as identity primary key, body text not null)`); err != nil {
		return sample{}, err
	}
	body := strings.Repeat("x", 500)
	return loop(ctx, n, during, func(int) (func() error, func(), error) {
		conn, err := pgx.Connect(ctx, database)
		if err != nil {
			return nil, nil, err
		}
		once := func() error {
			_, err := conn.Exec(ctx, `insert into anchor (body) values ($1)`, body)
			return err
		}
		return once, func() { _ = conn.Close(ctx) }, nil
	})
}
