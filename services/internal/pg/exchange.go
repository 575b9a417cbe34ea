package pg

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrAnew is for decide of Exchange: what was read is too old to decide upon, have everything done again in a new transaction.
var ErrAnew = errors.New("read again in a new transaction")

// lockGrace is how long after the server should have given up waiting for a row its answer is waited for.
const lockGrace = 50 * time.Millisecond

// First is what a transaction of Exchange reads, sent together with its begin.
type First struct{ batch pgx.Batch }

// Queue adds a statement. What is done with its answer is told to the QueuedQuery, and runs on another goroutine before decide.
func (f *First) Queue(statement string, args ...any) *pgx.QueuedQuery {
	return f.batch.Queue(statement, args...)
}

// setExchange also keeps to one plan for each statement of an exchange. They go by keys; planning them anew each time, which PostgreSQL does for arrays that are shorter than it
// guesses, costs more than running them.
const setExchange = "select set_config('noteworks.workspace_id', $1, true), set_config('plan_cache_mode', 'force_generic_plan', true)"

// In makes what is queued after it work for a workspace, or for another one than before.
func (f *First) In(workspaceID string) { f.Queue(setExchange, workspaceID) }

// Last is what a transaction of Exchange writes, sent together with its commit.
type Last struct {
	batch pgx.Batch
	hooks hooks
}

// Queue adds a statement. Its answer, if it is wanted, arrives before the commit is known to have happened.
func (l *Last) Queue(statement string, args ...any) *pgx.QueuedQuery {
	return l.batch.Queue(statement, args...)
}

// In is like First's.
func (l *Last) In(workspaceID string) { l.Queue(setExchange, workspaceID) }

// AfterCommit is like the package's.
func (l *Last) AfterCommit(fn func()) { l.hooks.fns = append(l.hooks.fns, fn) }

// Exchange is InWorkspace in two round trips, for what is done very often: ask reads, decide looks at what was read and says what is
// written. As there, the transaction may be tried again, with both called anew; decide must not block.
func (db *DB) Exchange(ctx context.Context, workspaceID string, ask func(*First), decide func(*Last) error) error {
	if err := checkWorkspace(workspaceID); err != nil {
		return err
	}
	return db.ExchangeAcross(ctx, func(first *First) {
		first.In(workspaceID)
		ask(first)
	}, decide)
}

// ExchangeAcross is Exchange for what is done in several workspaces: each statement works for the one that In named last, and none before that.
func (db *DB) ExchangeAcross(ctx context.Context, ask func(*First), decide func(*Last) error) error {
	return db.run(ctx, func(ctx context.Context) (*hooks, error) {
		first := &First{}
		first.batch.Queue("begin")
		ask(first)
		conn, err := db.ask(ctx, first)
		if err != nil {
			return nil, err
		}
		defer abandon(ctx, conn) // after the commit there is nothing to abandon
		last := &Last{}
		if err := decide(last); err != nil {
			return nil, err
		}
		return &last.hooks, last.commit(ctx, conn)
	})
}

// Send is ExchangeAcross in one round trip: nothing is read before write, so a statement has to fail where something is not to be done. A server that hangs is
// waited for until ctx ends: what it was sent it may yet do.
func (db *DB) Send(ctx context.Context, write func(*Last) error) error {
	return db.run(ctx, func(ctx context.Context) (*hooks, error) {
		last := &Last{}
		last.batch.Queue("begin")
		if err := write(last); err != nil {
			return nil, err
		}
		err := db.send(ctx, last)
		db.health.record(ctx, reaching(err))
		return &last.hooks, err
	})
}

// send waits for a connection no longer than AcquireTimeout.
func (db *DB) send(ctx context.Context, last *Last) error {
	waiting, enough := context.WithTimeout(ctx, db.cfg.AcquireTimeout)
	conn, err := db.pool.Acquire(waiting)
	enough()
	switch {
	case err != nil && waiting.Err() != nil && ctx.Err() == nil:
		return errNoConnection
	case err != nil:
		return fmt.Errorf("begin: %w", err)
	}
	defer abandon(ctx, conn) // after the commit there is nothing to abandon
	return last.commit(ctx, conn)
}

func (l *Last) commit(ctx context.Context, conn *pgxpool.Conn) error {
	l.batch.Queue("commit") // not reached when a statement before it failed
	if err := conn.SendBatch(ctx, &l.batch).Close(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// asked is a transaction that has begun, or why it has not.
type asked struct {
	conn *pgxpool.Conn
	err  error
}

// ask waits for a connection, and then for the first answer no longer than a lock may take: see begin, which this is like. The connection
// it returns is in a transaction and the caller's to abandon.
func (db *DB) ask(ctx context.Context, first *First) (*pgxpool.Conn, error) {
	answers := make(chan asked)
	var acquired atomic.Int64
	go db.open(ctx, first, &acquired, answers)
	limit := time.NewTimer(db.cfg.AcquireTimeout)
	defer limit.Stop()
	for {
		select {
		case a := <-answers:
			db.health.record(ctx, reaching(a.err))
			if a.err != nil {
				return nil, fmt.Errorf("begin: %w", a.err)
			}
			return a.conn, nil
		case <-limit.C:
			if left := db.lockWait(acquired.Load()); left > 0 {
				limit.Reset(left)
				continue
			}
			db.health.record(ctx, errNoConnection)
			return nil, errNoConnection
		case <-ctx.Done():
			return nil, fmt.Errorf("begin: %w", ctx.Err())
		}
	}
}

// open answers with a connection that has begun, unless ctx ends before somebody takes it.
func (db *DB) open(ctx context.Context, first *First, acquired *atomic.Int64, answers chan<- asked) {
	conn, err := db.pool.Acquire(ctx)
	if err == nil {
		acquired.Store(time.Now().UnixNano())
		if err = conn.SendBatch(ctx, &first.batch).Close(); err != nil {
			abandon(ctx, conn)
		}
	}
	select {
	case answers <- asked{conn, err}:
	case <-ctx.Done():
		if err == nil {
			abandon(ctx, conn)
		}
	}
}

// lockWait is for how much longer the server may be waiting for a row, if a connection was acquired at that time (0: it was not).
func (db *DB) lockWait(acquired int64) time.Duration {
	if acquired == 0 {
		return 0
	}
	return time.Until(time.Unix(0, acquired).Add(db.cfg.LockTimeout + lockGrace))
}

// reaching is err if it is about reaching the server, nil if the server has answered.
func reaching(err error) error {
	if err != nil && unavailable(err) {
		return err
	}
	return nil
}

// abandon gives back a connection, and rolls back what is not committed on it. It works although ctx has ended: otherwise each client that left
// would cost a connection.
func abandon(ctx context.Context, conn *pgxpool.Conn) {
	const patience = time.Second
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		_, _ = conn.Exec(ctx, "rollback") // the pool closes a connection that is still in a transaction
		cancel()
	}
	conn.Release()
}
