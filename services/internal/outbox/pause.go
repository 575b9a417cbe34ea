package outbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"noteworks.dev/services/internal/event"
)

// databaseError marks errors after which the journal's connection is not used any more.
type databaseError struct{ err error }

func (e *databaseError) Error() string { return e.err.Error() }
func (e *databaseError) Unwrap() error { return e.err }

// backoff grows from backoffFirst to backoffAtMost with each failure that follows soon on the one before.
type backoff struct{ last time.Duration }

// wait pauses and reports whether to go on; ran is how long it went well before.
func (b *backoff) wait(ctx context.Context, stopping <-chan struct{}, ran time.Duration) bool {
	if ran > settled {
		b.last = 0
	}
	b.last = min(max(2*b.last, backoffFirst), backoffAtMost)
	timer := time.NewTimer(b.last - rand.N(b.last/4))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stopping:
		return false
	case <-ctx.Done():
		return false
	}
}

// sayAgain is how often the same trouble is logged.
const sayAgain = 5 * time.Minute

// trouble remembers what was logged last: a database that is away is met every second.
type trouble struct {
	text string
	at   time.Time
}

func (t *trouble) isNews(err error) bool {
	if err.Error() == t.text && time.Since(t.at) < sayAgain {
		return false
	}
	t.text, t.at = err.Error(), time.Now()
	return true
}

// cursorBox passes a cursor from the acknowledgements' goroutine to the relay's.
type cursorBox struct {
	mu     sync.Mutex
	cursor event.Cursor
}

func (b *cursorBox) store(c event.Cursor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursor = c
}

func (b *cursorBox) load() event.Cursor {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursor
}
