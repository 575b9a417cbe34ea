package outbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/event"
)

// Status is how it stands with an outbox.
type Status struct {
	// Leader is the address from which the replica that relays is connected to the database, "local" for a socket, empty if none relays. Leading is whether
	// it is this one.
	Leader  string
	Leading bool
	// Connected is whether this replica is connected to NATS, and Stream what stands in the stream: nil without NATS, and if there is no such stream.
	Connected bool
	Stream    *event.End
	// Known is whether it is known what is published: from the stream or, without it, if this replica relays. If not, all places and counts but Newest are 0.
	Known bool
	Lanes [event.Lanes]LaneStatus
}

// LaneStatus is how it stands with one lane.
type LaneStatus struct {
	// Newest and Published are places, of the newest event that is committed and that is published.
	Newest, Published int64
	// Pending is how many are not published, counted up to 50,000, and Oldest how long the oldest of them has waited.
	Pending int64
	Oldest  time.Duration
}

// Pending is how many events are not published, and how long the oldest of them has waited.
func (s Status) Pending() (n int64, oldest time.Duration) {
	for _, lane := range s.Lanes {
		n += lane.Pending
		oldest = max(oldest, lane.Oldest)
	}
	return n, oldest
}

// Status asks the database, over a connection of its own, and NATS if it is there. Every replica can answer.
func (o *Outbox) Status(ctx context.Context) (Status, error) {
	s := Status{Leading: o.leading.Load()}
	published, err := o.standing(ctx, &s)
	if err != nil {
		return Status{}, err
	}
	j, err := openJournal(ctx, o.db.Pool(), o.cfg.Silence)
	if err != nil {
		return Status{}, err
	}
	defer j.close()
	if s.Leader, err = j.leader(ctx, o.cfg.Stream); err != nil {
		return Status{}, err
	}
	s.Lanes, err = j.lanes(ctx, published, s.Known)
	return s, err
}

// standing fills in what NATS says, and answers what is published.
func (o *Outbox) standing(ctx context.Context, s *Status) (event.Cursor, error) {
	if s.Connected, _ = o.bus.Connected(); !s.Connected {
		return o.acknowledged(s), nil
	}
	end, err := o.bus.Standing(ctx, o.cfg.Stream)
	switch {
	case errors.Is(err, event.ErrNoStream):
		s.Known = true // nothing is
		return event.Cursor{}, nil
	case errors.Is(err, event.ErrDisconnected):
		s.Connected = false
		return o.acknowledged(s), nil
	case err != nil:
		return event.Cursor{}, err
	}
	s.Stream, s.Known = &end, true
	return end.Cursor, nil
}

// acknowledged is what NATS took before it went away, if this replica relays and so knows.
func (o *Outbox) acknowledged(s *Status) event.Cursor {
	b, known := o.meter.backlog()
	s.Known = known
	return b.published
}

// leader is where the one that relays is connected from, "" if none is.
func (j *journal) leader(ctx context.Context, stream string) (address string, err error) {
	err = j.conn.QueryRow(ctx, `select coalesce(host(client_addr), 'local') from pg_locks join pg_stat_activity using (pid)
		where locktype = 'advisory' and granted and objsubid = 2 and classid = $1::bigint::oid and objid = $2::bigint::oid
		and database = (select oid from pg_database where datname = current_database())`, int64(relayClass), int64(lockOf(stream))).Scan(&address)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("look for the relay: %w", err)
	}
	return address, nil
}

// lanes compares each lane with what is published; when that is not known, it only says how far the lanes are.
func (j *journal) lanes(ctx context.Context, published event.Cursor, known bool) (lanes [event.Lanes]LaneStatus, err error) {
	found, err := j.conn.Query(ctx, lanesSQL(), published[0], published[1], published[2], published[3])
	if err != nil {
		return lanes, fmt.Errorf("look at the outbox: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var (
			lane    int
			l       LaneStatus
			seconds float64
		)
		if err := found.Scan(&lane, &l.Newest, &l.Pending, &seconds); err != nil {
			return lanes, fmt.Errorf("look at the outbox: %w", err)
		}
		if known {
			l.Published, l.Oldest = published[lane], time.Duration(seconds*float64(time.Second))
		} else {
			l.Pending = 0
		}
		lanes[lane] = l
	}
	if err := found.Err(); err != nil {
		return lanes, fmt.Errorf("look at the outbox: %w", err)
	}
	return lanes, nil
}

func lanesSQL() string {
	return perLane("(select %[1]d, coalesce((select max(id) from outbox where lane = %[1]d), 0), count(*),"+
		" coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8"+
		" from (select created_at from outbox where lane = %[1]d and id > $%[2]d order by id limit "+strconv.Itoa(countAtMost)+") as waiting)", " union all ")
}
