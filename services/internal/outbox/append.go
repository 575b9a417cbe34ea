package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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

// Append adds events to the transaction, in order, and hands them to the relay after its commit (when tx is one of pg's). Call it last in the transaction:
// from here to the commit no other writer of the same lanes gets on. The trace context is that of tx's context.
func (o *Outbox) Append(tx *gorm.DB, events ...event.Event) error {
	if len(events) == 0 {
		return nil
	}
	rows, err := o.insert(tx, events)
	if err != nil {
		return err
	}
	pg.AfterCommit(tx, func() { o.handOver(rows.placed) })
	return nil
}

func (o *Outbox) insert(tx *gorm.DB, events []event.Event) (*rows, error) {
	ctx := tx.Statement.Context
	traced := make([]event.Event, len(events))
	for i, e := range events {
		traced[i] = o.Traced(ctx, e)
	}
	rows, err := rowsOf(traced)
	if err != nil {
		return nil, err
	}
	found, err := tx.Statement.ConnPool.QueryContext(ctx, appendSQL, rows.args()...)
	if err == nil {
		defer func() { _ = found.Close() }() // Err has told what there is to tell
		err = rows.place(found)
	}
	if err != nil {
		return nil, fmt.Errorf("append to outbox: %w", err)
	}
	return rows, nil
}

// Traced is e with the trace context of ctx. Append does so by itself; it is for those who append together what was done in several contexts.
func (o *Outbox) Traced(ctx context.Context, e event.Event) event.Event {
	carrier := propagation.MapCarrier{}
	o.tel.Propagator.Inject(ctx, carrier)
	e.TraceParent, e.TraceState = carrier["traceparent"], carrier["tracestate"]
	return e
}

// AppendLast is Append for a transaction of pg.Exchange, or of ExchangeAcross: then events of a workspace stand together, and what is queued
// after them works for the last one's. Events must have been Traced.
func (o *Outbox) AppendLast(last *pg.Last, events ...event.Event) error {
	parts := byWorkspace(events)
	if len(parts) > 1 {
		last.Queue(lockSQL, int32(laneClass), lanesOf(events))
	}
	for _, part := range parts {
		rows, err := rowsOf(part)
		if err != nil {
			return err
		}
		if len(parts) > 1 {
			last.In(part[0].WorkspaceID)
		}
		last.Queue(appendSQL, rows.args()...).Query(func(found pgx.Rows) error { return rows.place(found) })
		last.AfterCommit(func() { o.handOver(rows.placed) })
	}
	return nil
}

func byWorkspace(events []event.Event) (parts [][]event.Event) {
	for i, e := range events {
		if i == 0 || e.WorkspaceID != events[i-1].WorkspaceID {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], e)
	}
	return parts
}

// lanesOf is each lane of the events, once, in ascending order: two writers of the same lanes do not deadlock.
func lanesOf(events []event.Event) []int16 {
	var lanes []int16
	for _, e := range events {
		lanes = append(lanes, int16(event.LaneOf(e.Key)))
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// lockSQL takes lanes in the order given.
const lockSQL = "select pg_advisory_xact_lock($1, lane) from unnest($2::smallint[]) lane"

// appendSQL locks and inserts in one round trip; the comment in the function says why they are statements of their own in it.
const appendSQL = "select place, before from outbox_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"

// rows is events by column.
type rows struct {
	events                                                                   []event.Event
	placed                                                                   []placed
	lanes                                                                    []int16
	ids, workspaces, types, keys, audiences, traceParents, traceStates, data []string
	times                                                                    []time.Time
}

func (r *rows) args() []any {
	return []any{int32(laneClass), r.lanes, r.ids, r.workspaces, r.types, r.keys, r.times, r.audiences, r.traceParents, r.traceStates, r.data}
}

// place learns where the rows stand from what appendSQL answered.
func (r *rows) place(found interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
},
) error {
	r.placed = make([]placed, 0, len(r.events))
	for found.Next() {
		i := len(r.placed)
		p := placed{Event: r.events[i]}
		p.Lane = int(r.lanes[i])
		if err := found.Scan(&p.Position, &p.before); err != nil {
			return err
		}
		r.placed = append(r.placed, p)
	}
	return found.Err()
}

func rowsOf(events []event.Event) (*rows, error) {
	r := &rows{events: events}
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
		r.traceParents = append(r.traceParents, e.TraceParent)
		r.traceStates = append(r.traceStates, e.TraceState)
		r.data = append(r.data, string(e.Data))
	}
	return r, nil
}
