package world

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// cloning makes rows like one that the services wrote. What is not overridden is as it is there, also in columns that a later version adds.
type cloning struct {
	table string
	// like is the condition for the one row to copy, which is called t in it.
	like string
	// from is what the rows are made for, such as generate_series(1, 10) i.
	from string
	// set are expressions by column, over t and from.
	set map[string]string
}

// run makes the rows and answers how many.
func (c cloning) run(ctx context.Context, conn *pgx.Conn, args ...any) (int64, error) {
	rows, err := conn.Query(ctx, `select column_name from information_schema.columns where table_schema = 'public' and table_name = $1 order by ordinal_position`, c.table)
	if err != nil {
		return 0, err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, err
	}
	done, err := conn.Exec(ctx, c.statement(columns), args...)
	if err != nil {
		return 0, fmt.Errorf("fill %s: %w", c.table, err)
	}
	return done.RowsAffected(), nil
}

func (c cloning) statement(columns []string) string {
	values := make([]string, len(columns))
	for i, name := range columns {
		values[i] = "t." + name
		if expression, ok := c.set[name]; ok {
			values[i] = expression
		}
	}
	return "insert into " + c.table + " (" + strings.Join(columns, ", ") + ") select " + strings.Join(values, ", ") +
		" from " + c.table + " t, " + c.from + " where " + c.like
}
