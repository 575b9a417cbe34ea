package pg

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// openSQL is the pool as database/sql, which gorm needs. database/sql keeps no connection idle: the pool does.
func openSQL(pool *pgxpool.Pool) *sql.DB {
	db := sql.OpenDB(connector{stdlib.GetPoolConnector(pool)})
	db.SetMaxIdleConns(0)
	return db
}

// connector hands out connections that begin a transaction with the statement found in its context.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	std, ok := dc.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(errors.New("pgx handed out a connection of another kind"), dc.Close())
	}
	return conn{std}, nil
}

type conn struct{ *stdlib.Conn }

type beginKey struct{}

// withBegin makes transactions that are begun under the context begin with the given SQL: `begin` and what must be said
// in the transaction before all else go to the server in one round trip.
func withBegin(ctx context.Context, query string) context.Context {
	return context.WithValue(ctx, beginKey{}, query)
}

func (c conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	query, ok := ctx.Value(beginKey{}).(string)
	if !ok {
		return c.Conn.BeginTx(ctx, opts)
	}
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	tx, err := c.Conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: query})
	if err != nil {
		return nil, retryElsewhere(ctx, err)
	}
	return transaction{ctx: ctx, tx: tx}, nil
}

// retryElsewhere tells database/sql to try another connection when this one turned out dead: nothing was done on it yet.
func retryElsewhere(ctx context.Context, err error) error {
	var answer *pgconn.PgError
	if ctx.Err() == nil && !errors.As(err, &answer) {
		return driver.ErrBadConn
	}
	return err
}

type transaction struct {
	ctx context.Context // database/sql/driver.Tx has no context of its own
	tx  pgx.Tx
}

func (t transaction) Commit() error { return t.tx.Commit(t.ctx) }

// Rollback works although the context has ended, which is mostly why it is called: otherwise each client that left
// would cost a connection.
func (t transaction) Rollback() error {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), patience)
	defer cancel()
	return t.tx.Rollback(ctx)
}
