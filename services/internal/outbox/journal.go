package outbox

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"noteworks.dev/services/internal/event"
)

// readAtMost is how many rows one look takes.
const readAtMost = 2 * event.Window

// journal is the relay's own connection to the outbox table. Its session holds the lock of the one that relays, so a relay whose
// connection is lost reads nothing more, and it alone may read the rows of all workspaces.
type journal struct {
	conn *pgx.Conn
	read string // readSQL, made once
}

// openJournal connects as the pool does, beside it: busy writers must not keep the relay waiting for a connection. The server ends the session if it
// hears nothing for as long as silence.
func openJournal(ctx context.Context, pool *pgxpool.Pool, silence time.Duration) (*journal, error) {
	like := pool.Config()
	cfg := like.ConnConfig.Copy()
	if err := like.BeforeConnect(ctx, cfg); err != nil { // the password as it is now
		return nil, fmt.Errorf("connect: %w", err)
	}
	cfg.Tracer = nil // a look every 100 ms is no span
	cfg.RuntimeParams["noteworks.relay"] = "on"
	// One plan, by index: made when the table was empty it would otherwise read all of it, until somebody analyses the table.
	cfg.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	cfg.RuntimeParams["enable_seqscan"] = "off"
	cfg.RuntimeParams["application_name"] = "outbox relay"
	delete(cfg.RuntimeParams, "idle_in_transaction_session_timeout")
	cfg.RuntimeParams["idle_session_timeout"] = strconv.FormatInt(silence.Milliseconds(), 10)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &journal{conn: conn, read: readSQL()}, nil
}

// lead tries to become the one that relays the stream. A session has the lock until it ends.
func (j *journal) lead(ctx context.Context, stream string) (bool, error) {
	var got bool
	err := j.conn.QueryRow(ctx, "select pg_try_advisory_lock($1, $2)", int32(relayClass), int32(lockOf(stream))).Scan(&got)
	if err != nil {
		return false, fmt.Errorf("ask for the relay's lock: %w", err)
	}
	return got, nil
}

// lockOf is the second number of the lock of the one that relays the stream.
func lockOf(stream string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(stream)) // never fails
	return h.Sum32()
}

// readSQL takes the oldest rows after the cursor, in order of ids, of each lane and then of all.
func readSQL() string {
	return perLane(`(select lane, id, event_id::text, workspace_id::text, type, key, occurred_at, audience, traceparent, tracestate, data
	from outbox where lane = %d and id > $%d order by id limit $5)`, " union all ") + " order by id limit $5"
}

func perLane(part, between string) string {
	parts := make([]string, event.Lanes)
	for lane := range parts {
		parts[lane] = fmt.Sprintf(part, lane, lane+1)
	}
	return strings.Join(parts, between)
}

// after reads at most readAtMost events after the cursor.
func (j *journal) after(ctx context.Context, cursor event.Cursor, into []event.Event) ([]event.Event, error) {
	found, err := j.conn.Query(ctx, j.read, cursor[0], cursor[1], cursor[2], cursor[3], readAtMost)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var (
			e              event.Event
			audience, data string
		)
		if err := found.Scan(&e.Lane, &e.Position, &e.ID, &e.WorkspaceID, &e.Type, &e.Key, &e.Time, &audience, &e.TraceParent, &e.TraceState, &data); err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		if audience != "" {
			e.Audience = strings.Split(audience, ",")
		}
		e.Data = []byte(data)
		into = append(into, e)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return into, nil
}

// missing reports whether the outbox has an event that should be in the stream and is before the oldest message there, that is, at or before the
// cursor and younger than age. Since the events of a lane are in order, it is enough to look at the newest of each.
func (j *journal) missing(ctx context.Context, before event.Cursor, age time.Duration) (bool, error) {
	var found bool
	err := j.conn.QueryRow(ctx, missingSQL(), before[0], before[1], before[2], before[3], age.String()).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("compare stream with outbox: %w", err)
	}
	return found, nil
}

func missingSQL() string {
	const newest = "(select created_at from outbox where lane = %d and id <= $%d order by id desc limit 1)"
	return "select coalesce(greatest(" + perLane(newest, ", ") + ") > now() - $5::interval, false)"
}

// count is how many events there are after one cursor and not after the other.
func (j *journal) count(ctx context.Context, after, upTo event.Cursor) (n uint64, err error) {
	if err := j.conn.QueryRow(ctx, countSQL(), after[:], upTo[:]).Scan(&n); err != nil {
		return 0, fmt.Errorf("compare stream with outbox: %w", err)
	}
	return n, nil
}

func countSQL() string {
	const between = "(select count(*) from outbox where lane = %[1]d and id > ($1::bigint[])[%[2]d] and id <= ($2::bigint[])[%[2]d])"
	return "select " + perLane(between, " + ")
}

// knows reports whether e is the outbox's event at e's place. If it is not, the database is another one than that which published e, and new ids
// go on behind e's.
func (j *journal) knows(ctx context.Context, e event.Event) (bool, error) {
	var id string
	err := j.conn.QueryRow(ctx, "select event_id::text from outbox where lane = $1 and id = $2", e.Lane, e.Position).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("compare stream with outbox: %w", err)
	}
	if id == e.ID {
		return true, nil
	}
	cursor, err := event.ParseCursor(e.Cursor)
	if err != nil {
		return false, err
	}
	if _, err := j.conn.Exec(ctx, "select outbox_go_on_behind($1)", cursor[:]); err != nil {
		return false, fmt.Errorf("move ids on: %w", err)
	}
	return false, nil
}

// countAtMost bounds the work of measuring a large backlog, per lane.
const countAtMost = 50_000

type backlog struct {
	published event.Cursor // what it is behind
	lanes     [event.Lanes]int64
	oldest    time.Duration
}

func (b backlog) pending() (n int64) {
	for _, lane := range b.lanes {
		n += lane
	}
	return n
}

func (j *journal) backlog(ctx context.Context, cursor event.Cursor) (backlog, error) {
	b := backlog{published: cursor}
	lanes, err := j.lanes(ctx, cursor, true)
	if err != nil {
		return backlog{}, fmt.Errorf("measure outbox: %w", err)
	}
	for i, lane := range lanes {
		b.lanes[i] = lane.Pending
		b.oldest = max(b.oldest, lane.Oldest)
	}
	return b, nil
}

// rotate makes partitions ahead, and drops those older than keep if everything in them is before the cursor; a nil cursor drops none.
func (j *journal) rotate(ctx context.Context, keep time.Duration, cursor *event.Cursor) (made, dropped int, err error) {
	var published []int64
	if cursor != nil {
		published = cursor[:]
	}
	err = j.conn.QueryRow(ctx, "select made, dropped from outbox_rotate($1::interval, $2)", keep.String(), published).Scan(&made, &dropped)
	if err != nil {
		return 0, 0, fmt.Errorf("rotate outbox: %w", err)
	}
	return made, dropped, nil
}

// alive lets the server hear that somebody is there, and is an error if the session has ended.
func (j *journal) alive(ctx context.Context) error { return j.conn.Ping(ctx) }

func (j *journal) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = j.conn.Close(ctx) // the server ends the session either way
}
