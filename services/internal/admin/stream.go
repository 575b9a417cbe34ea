package admin

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/outbox"
)

// GetOutboxStatus is the procedure.
func (s service) GetOutboxStatus(ctx context.Context, _ *connect.Request[adminv1.GetOutboxStatusRequest]) (*connect.Response[adminv1.OutboxStatus], error) {
	status, err := s.Outbox.Status(ctx)
	if err != nil {
		return nil, errs.Unavailable("outbox-unreadable", "The outbox of %s cannot be read at the moment; its log says why.", s.Outbox.Source()).WithCause(err)
	}
	answer := &adminv1.OutboxStatus{
		Service:       s.Outbox.Source(),
		Stream:        s.Outbox.Stream(),
		Leader:        status.Leader,
		Leading:       status.Leading,
		NatsConnected: status.Connected,
		StreamStatus:  streamStatus(status),
	}
	if status.Known {
		pending, oldest := status.Pending()
		answer.Pending = &pending
		if pending > 0 {
			answer.OldestPending = durationpb.New(oldest)
		}
	}
	for lane, l := range status.Lanes {
		entry := &adminv1.LaneStatus{Lane: int32(lane), Newest: l.Newest} //nolint:gosec // one of four
		if status.Known {
			entry.Published, entry.Pending = proto.Int64(l.Published), proto.Int64(l.Pending)
		}
		answer.Lanes = append(answer.Lanes, entry)
	}
	return connect.NewResponse(answer), nil
}

func streamStatus(status outbox.Status) *adminv1.StreamStatus {
	if status.Stream == nil {
		return nil
	}
	s := &adminv1.StreamStatus{
		Messages:      status.Stream.Messages,
		Bytes:         status.Stream.Bytes,
		FirstSequence: status.Stream.First,
		LastSequence:  status.Stream.Last,
	}
	if stored := status.Stream.Stored; !stored.IsZero() {
		s.LastStoredAt = timestamppb.New(stored)
	}
	return s
}

// RebuildStream is the procedure.
func (s service) RebuildStream(ctx context.Context, req *connect.Request[adminv1.RebuildStreamRequest]) (*connect.Response[adminv1.RebuiltStream], error) {
	if req.Msg.GetStream() != s.Outbox.Stream() {
		return nil, errs.NotFound("no-such-stream", "%s writes the stream %s and no other.", s.Outbox.Source(), s.Outbox.Stream())
	}
	removed, err := s.Outbox.Rebuild(ctx)
	if errors.Is(err, outbox.ErrNoRelay) {
		return nil, errs.Unavailable("no-relay", "No replica of %s carried it out in time; it may still happen. See NoteworksOutboxWithoutRelay in docs/monitoring.md.", s.Outbox.Source()).WithCause(err)
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return connect.NewResponse(&adminv1.RebuiltStream{Stream: s.Outbox.Stream(), Removed: removed}), nil
}
