package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
)

// Classes of advisory locks: the first of the two numbers of a lock.
const (
	laneClass  = 0x6e77_01 // "nw": held by writers of a lane until they commit
	relayClass = 0x6e77_02 // held by the one that relays
)

// Limits of one event, below the server's: 64 kB of header and 1 MiB in all. An event beyond them could be saved and never be
// published, and would hold up all that come after it.
const (
	maxAudience = 48 << 10
	maxData     = 900 << 10
)

// ErrTooLarge is wrapped by Append's error about an event that no stream would take.
var ErrTooLarge = errors.New("event too large")

// Append adds events to the transaction, in order, and wakes the relay after its commit (when tx is one of pg's). Call it last in the transaction:
// from here to the commit no other writer of the same lanes gets on. The trace context is that of tx's context.
func (o *Outbox) Append(tx *gorm.DB, events ...event.Event) error {
	if len(events) == 0 {
		return nil
	}
	ctx := tx.Statement.Context
	rows, err := o.rows(ctx, events)
	if err != nil {
		return err
	}
	if _, err := tx.Statement.ConnPool.ExecContext(ctx, appendSQL, rows.args()...); err != nil {
		return fmt.Errorf("append to outbox: %w", err)
	}
	pg.AfterCommit(tx, o.Wake)
	return nil
}

// appendSQL locks and inserts in one round trip; the comment in the function says why they are statements of their own in it.
const appendSQL = "select from outbox_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"

// rows is events by column.
type rows struct {
	lanes                                                                    []int16
	ids, workspaces, types, keys, audiences, traceParents, traceStates, data []string
	times                                                                    []time.Time
}

func (r *rows) args() []any {
	return []any{int32(laneClass), r.lanes, r.ids, r.workspaces, r.types, r.keys, r.times, r.audiences, r.traceParents, r.traceStates, r.data}
}

func (o *Outbox) rows(ctx context.Context, events []event.Event) (*rows, error) {
	carrier := propagation.MapCarrier{}
	o.tel.Propagator.Inject(ctx, carrier)
	r := &rows{}
	for _, e := range events {
		audience := strings.Join(e.Audience, ",")
		if len(audience) > maxAudience || len(e.Data) > maxData {
			return nil, fmt.Errorf("append %s: %w: %d bytes for %d people", e.Type, ErrTooLarge, len(e.Data), len(e.Audience))
		}
		r.lanes = append(r.lanes, int16(event.LaneOf(e.Key)))
		r.ids = append(r.ids, e.ID)
		r.workspaces = append(r.workspaces, e.WorkspaceID)
		r.types = append(r.types, e.Type)
		r.keys = append(r.keys, e.Key)
		r.times = append(r.times, e.Time)
		r.audiences = append(r.audiences, audience)
		r.traceParents = append(r.traceParents, carrier["traceparent"])
		r.traceStates = append(r.traceStates, carrier["tracestate"])
		r.data = append(r.data, string(e.Data))
	}
	return r, nil
}
