package console

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"connectrpc.com/connect"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
)

// unknown stands where nobody can say.
const unknown = "?"

func status(ctx context.Context, s *session) error {
	all, err := ask(s, func(t target) (*adminv1.OutboxStatus, error) {
		return message(t.GetOutboxStatus(ctx, connect.NewRequest(&adminv1.GetOutboxStatusRequest{})))
	})
	if err != nil {
		return err
	}
	if s.format == "json" {
		return printList(s.out, all)
	}
	outboxes := newTable("SERVICE", "STREAM", "RELAYED BY", "NATS", "PENDING", "OLDEST", "MESSAGES", "BYTES", "NEWEST STORED")
	lanes := newTable("STREAM", "LANE", "NEWEST", "PUBLISHED", "PENDING")
	for _, o := range all {
		messages, bytes, stored := unknown, unknown, unknown
		if in := o.GetStreamStatus(); in != nil {
			messages, bytes, stored = fmt.Sprint(in.GetMessages()), fmt.Sprint(in.GetBytes()), clock(in.GetLastStoredAt())
		}
		outboxes.row(o.GetService(), o.GetStream(), relay(o), nats(o), number(o.Pending), oldest(o), messages, bytes, stored)
		for _, l := range o.GetLanes() {
			lanes.row(o.GetStream(), l.GetLane(), l.GetNewest(), number(l.Published), number(l.Pending))
		}
	}
	outboxes.print(s.out)
	say(s.out, "\n")
	lanes.print(s.out)
	return nil
}

func relay(o *adminv1.OutboxStatus) string {
	switch {
	case o.GetLeader() == "":
		return "nobody"
	case o.GetLeading():
		return o.GetLeader() + ", who answers"
	}
	return o.GetLeader()
}

func nats(o *adminv1.OutboxStatus) string {
	switch {
	case !o.GetNatsConnected():
		return "away"
	case o.GetStreamStatus() == nil:
		return "no stream"
	}
	return "connected"
}

func oldest(o *adminv1.OutboxStatus) string {
	switch {
	case o.Pending == nil:
		return unknown
	case o.OldestPending == nil:
		return "-"
	}
	return o.GetOldestPending().AsDuration().Round(time.Second).String()
}

func number(n *int64) string {
	if n == nil {
		return unknown
	}
	return strconv.FormatInt(*n, 10)
}

func rebuild(ctx context.Context, s *session) error {
	if len(s.words) != 1 {
		return misused("which stream? noteworks outbox status shows them")
	}
	stream := s.words[0]
	found, err := ask(s, func(t target) (*adminv1.RebuiltStream, error) {
		return message(t.RebuildStream(ctx, connect.NewRequest(&adminv1.RebuildStreamRequest{Stream: stream})))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", printable(stream), err)
	}
	if s.format == "json" {
		return printJSON(s.out, found[0])
	}
	if found[0].GetRemoved() == 0 {
		say(s.out, "Stream %s was empty; what the outbox has for it, the relay publishes by itself: noteworks outbox status\n", found[0].GetStream())
		return nil
	}
	say(s.out, "Stream %s: %d messages were removed, and it is being filled again from the outbox. How far it is: noteworks outbox status\n",
		found[0].GetStream(), found[0].GetRemoved())
	return nil
}
