package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
)

const (
	// maxAttempts of one transaction. With the pauses between them about a second, when the context lets it.
	maxAttempts  = 8
	firstBackoff = 4 * time.Millisecond
	maxBackoff   = 250 * time.Millisecond
)

// InWorkspace runs fn in one transaction that sees the rows of one workspace, and commits when fn returns nil. A
// deadlock or serialization failure rolls back and runs fn again, so fn must keep its effects in tx and in variables
// that it sets anew. Errors that are not the database's own trouble come back as fn returned them; an ended context
// comes back as such; trouble with the connection, the pool or a lock that stays taken is errs.Unavailable.
func (db *DB) InWorkspace(ctx context.Context, workspaceID string, fn func(tx *gorm.DB) error) error {
	if err := checkWorkspace(workspaceID); err != nil {
		return err
	}
	// The id may be written into the statement: it is a UUID.
	return db.transact(ctx, "begin; select set_config('noteworks.workspace_id', '"+workspaceID+"', true)", fn)
}

func checkWorkspace(id string) error {
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return errs.Invalid("invalid-workspace", "a workspace's id must be a UUID in its usual spelling")
	}
	return nil
}

// Tx is InWorkspace without a workspace: no tenant row is seen, and none can be written.
func (db *DB) Tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return db.transact(ctx, "begin", fn)
}

func (db *DB) transact(ctx context.Context, begin string, fn func(tx *gorm.DB) error) error {
	return db.run(ctx, func(ctx context.Context) (*hooks, error) { return db.attempt(ctx, begin, fn) })
}

// run tries until it works, the error is not one to try again, or the budget is spent.
func (db *DB) run(ctx context.Context, attempt func(context.Context) (*hooks, error)) error {
	if _, nested := ctx.Value(hooksKey{}).(*hooks); nested {
		return errors.New("a transaction inside another one would wait for a second connection: use the outer tx")
	}
	backoff := firstBackoff
	for try := 1; ; try++ {
		done, err := once(ctx, attempt)
		if err == nil {
			done.run()
			return nil
		}
		if !retryable(err) || try == maxAttempts || !pause(ctx, backoff) {
			return meaning(ctx, err)
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// pause waits for about d and tells whether the context lived on. The jitter keeps two who met from meeting again.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d)) // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once makes one attempt. A transaction that it leaves open, by a panic, too, is rolled back by the end of its context.
func once(ctx context.Context, attempt func(context.Context) (*hooks, error)) (*hooks, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	return attempt(ctx)
}

// attempt is one transaction. It returns what is to be done after the commit.
func (db *DB) attempt(ctx context.Context, begin string, fn func(tx *gorm.DB) error) (*hooks, error) {
	after := &hooks{}
	tx, err := db.begin(withBegin(context.WithValue(ctx, hooksKey{}, after), begin))
	if err != nil {
		return nil, err
	}
	if err := fn(tx); err != nil {
		tx.Rollback()
		return nil, err
	}
	if err := tx.Commit().Error; err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return after, nil
}

// begin waits for a connection and its first answer, but not longer than AcquireTimeout: a server that hangs, or a pool
// that is used up, must not collect waiting callers. Whatever comes after that is rolled back when the context ends,
// which the caller sees to.
func (db *DB) begin(ctx context.Context) (*gorm.DB, error) {
	begun := make(chan *gorm.DB, 1)
	go func() { begun <- db.gorm.WithContext(ctx).Begin() }()
	timer := time.NewTimer(db.cfg.AcquireTimeout)
	defer timer.Stop()
	select {
	case tx := <-begun:
		db.health.record(ctx, tx.Error)
		if tx.Error != nil {
			return nil, fmt.Errorf("begin: %w", tx.Error)
		}
		return tx, nil
	case <-timer.C:
		db.health.record(ctx, errNoConnection)
		return nil, errNoConnection
	case <-ctx.Done():
		return nil, fmt.Errorf("begin: %w", ctx.Err())
	}
}

type hooksKey struct{}

// hooks is what a transaction wants done after its commit.
type hooks struct{ fns []func() }

func (h *hooks) run() {
	for _, fn := range h.fns {
		fn()
	}
}

// AfterCommit runs fn, on the goroutine of InWorkspace or Tx, once tx has been committed by it; after a rollback, or when the transaction is
// tried again, this fn is dropped. fn must be quick and cannot fail. A tx that did not come from this package has nobody
// to tell of its commit: fn never runs.
func AfterCommit(tx *gorm.DB, fn func()) {
	if h, ok := tx.Statement.Context.Value(hooksKey{}).(*hooks); ok {
		h.fns = append(h.fns, fn)
	}
}
