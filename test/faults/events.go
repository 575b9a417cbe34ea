package main

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
)

// eventFaults are of what the services tell each other.
func eventFaults() []scenario {
	return []scenario{
		{
			name: "an event that nobody can read", row: "an undecodable event: in the dead-letter stream within seconds; the next event waits no longer than its backoff",
			lasts: 20 * time.Second, lastsShort: 8 * time.Second,
			breaks: garble, during: parked, heals: discardDeadLetters, holds: writesWentOn, errors: []string{"event parked"},
		},
	}
}

// garble appends an event to the outbox, in the name of a note of the crew's, that is not what its type says.
func garble(ctx context.Context, r *round) error {
	return r.admin(ctx, "notes", func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			const like = `select * from outbox where key = $1 and type = 'note.v1.NoteChanged' order by id limit 1`
			if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($2, lane) from ("+like+") as one", r.shift.Notes[0], laneClass); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `insert into outbox (lane, event_id, workspace_id, type, key, occurred_at, audience, traceparent, tracestate, data)
				select lane, gen_random_uuid(), workspace_id, type, key, now(), audience, '', '', '{"noteId": 7' from (`+like+`) as one`, r.shift.Notes[0])
			return err
		})
	})
}

// discardDeadLetters is what somebody on call does who knows that nobody needs them.
func discardDeadLetters(ctx context.Context, r *round) error {
	office := r.Events(r.Names("note")[0])
	list, err := office.ListDeadLetters(ctx, connect.NewRequest(&adminv1.ListDeadLettersRequest{}))
	if err != nil {
		return err
	}
	for _, letter := range list.Msg.GetDeadLetters() {
		if _, err := office.DiscardDeadLetter(ctx, connect.NewRequest(&adminv1.DiscardDeadLetterRequest{Number: letter.GetNumber()})); err != nil {
			return err
		}
	}
	r.check(len(list.Msg.GetDeadLetters()) > 0, "%d dead letters discarded", len(list.Msg.GetDeadLetters()))
	return nil
}

// parked: somebody says that it was put aside.
func parked(ctx context.Context, r *round) error {
	for {
		total := 0.0
		for _, name := range r.Names("note") {
			v, _ := r.metric(ctx, name, "inbox_parked_total", "consumer=note-search") // one that has parked nothing has none
			total += v
		}
		if total > 0 {
			r.check(true, "parked within %v", (r.shift.Now() - r.broken).Round(100*time.Millisecond))
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait(ctx, 100*time.Millisecond)
	}
}
