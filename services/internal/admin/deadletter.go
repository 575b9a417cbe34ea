package admin

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "noteworks.dev/services/api/gen/admin/v1"
	"noteworks.dev/services/internal/event"
)

const (
	defaultPage = 100
	maxPage     = 500
)

// ListDeadLetters is the procedure.
func (s service) ListDeadLetters(ctx context.Context, req *connect.Request[adminv1.ListDeadLettersRequest]) (*connect.Response[adminv1.DeadLetters], error) {
	if err := s.has(req.Msg.GetConsumer()); err != nil {
		return nil, err
	}
	limit := int(req.Msg.GetLimit())
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	var all []event.DeadLetter
	for _, consumer := range s.Consumers {
		if only := req.Msg.GetConsumer(); only != "" && only != consumer {
			continue
		}
		letters, err := s.Bus.DeadLetters(ctx, consumer, req.Msg.GetFrom(), limit+1)
		if err != nil {
			return nil, s.explain(err)
		}
		all = append(all, letters...)
	}
	slices.SortFunc(all, func(a, b event.DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	page := &adminv1.DeadLetters{}
	for i, letter := range all {
		if i == limit {
			page.Next = letter.Seq
			break
		}
		page.DeadLetters = append(page.DeadLetters, describe(letter, false))
	}
	return connect.NewResponse(page), nil
}

// GetDeadLetter is the procedure.
func (s service) GetDeadLetter(ctx context.Context, req *connect.Request[adminv1.GetDeadLetterRequest]) (*connect.Response[adminv1.DeadLetter], error) {
	letter, err := s.letter(ctx, req.Msg.GetNumber())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(describe(letter, req.Msg.GetWithData())), nil
}

// ReplayDeadLetter is the procedure.
func (s service) ReplayDeadLetter(ctx context.Context, req *connect.Request[adminv1.ReplayDeadLetterRequest]) (*connect.Response[adminv1.DeadLetter], error) {
	return s.settle(ctx, req.Msg.GetNumber(), s.Bus.Replay)
}

// DiscardDeadLetter is the procedure.
func (s service) DiscardDeadLetter(ctx context.Context, req *connect.Request[adminv1.DiscardDeadLetterRequest]) (*connect.Response[adminv1.DeadLetter], error) {
	return s.settle(ctx, req.Msg.GetNumber(), s.Bus.Discard)
}

// settle does something with a dead letter that takes it from the list, and answers which it was.
func (s service) settle(ctx context.Context, number uint64, do func(context.Context, string, uint64) error) (*connect.Response[adminv1.DeadLetter], error) {
	letter, err := s.letter(ctx, number)
	if err != nil {
		return nil, err
	}
	if err := do(ctx, letter.Consumer, number); err != nil {
		return nil, s.explain(err)
	}
	return connect.NewResponse(describe(letter, false)), nil
}

// letter is that of one of the service's consumers.
func (s service) letter(ctx context.Context, number uint64) (event.DeadLetter, error) {
	for _, consumer := range s.Consumers {
		letter, err := s.Bus.DeadLetter(ctx, consumer, number)
		if errors.Is(err, event.ErrNoDeadLetter) {
			continue
		}
		letter.Consumer = consumer // whatever its header says: it stands under this one's subject
		return letter, s.explain(err)
	}
	return event.DeadLetter{}, s.explain(event.ErrNoDeadLetter)
}

func describe(l event.DeadLetter, withData bool) *adminv1.DeadLetter {
	d := &adminv1.DeadLetter{
		Number:         l.Seq,
		Consumer:       l.Consumer,
		Reason:         l.Reason,
		Attempts:       int32(min(l.Attempts, math.MaxInt32)), //nolint:gosec // bounded
		ParkedAt:       timestamppb.New(l.Parked),
		Stream:         l.Stream,
		StreamSequence: l.StreamSeq,
		EventId:        l.Event.ID,
		EventType:      l.Event.Type,
		WorkspaceId:    l.Event.WorkspaceID,
		Key:            l.Event.Key,
		TraceId:        traceID(l.Event.TraceParent),
		DataBytes:      int64(len(l.Event.Data)),
	}
	if !l.Event.Time.IsZero() {
		d.OccurredAt = timestamppb.New(l.Event.Time)
	}
	if l.Err != nil {
		d.Malformed = l.Err.Error()
	}
	if withData {
		d.Data = l.Event.Data
	}
	return d
}

// traceID is the second part of a W3C traceparent.
func traceID(traceParent string) string {
	_, rest, _ := strings.Cut(traceParent, "-")
	id, _, _ := strings.Cut(rest, "-")
	return id
}

func names(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
