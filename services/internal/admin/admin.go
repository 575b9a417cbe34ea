// Package admin answers admin.v1.EventService for one service: what somebody on call asks and orders about the service's dead letters, outbox and stream.
//
// It promises: only the caller called Office gets an answer; each of its calls is in the log, with who made it and about what; what an event holds is answered
// only to who asks for it by name. Imports connect, the generated messages, and the kit's errs, event, outbox, rpc and telemetry.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"connectrpc.com/connect"

	"noteworks.dev/services/api/gen/admin/v1/adminv1connect"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
)

// Office is the name of the callers that may administer events. Nobody has it unless the settings say who: RPC_CALLERS or RPC_SERVICE_ACCOUNTS.
const Office = "admin"

// Events is what a service has to be asked about.
type Events struct {
	Bus    *event.Bus
	Outbox *outbox.Outbox
	// Consumers are the service's own, by their durable names. Dead letters of others are none of its business.
	Consumers []string
}

// Mount answers for e on s.
func Mount(s *rpc.Server, e Events, tel *telemetry.Telemetry) {
	options := append(s.Options(), connect.WithInterceptors(logged(tel)))
	s.Mount(adminv1connect.NewEventServiceHandler(service{e}, options...))
	s.Allow(Office,
		adminv1connect.EventServiceListDeadLettersProcedure, adminv1connect.EventServiceGetDeadLetterProcedure,
		adminv1connect.EventServiceReplayDeadLetterProcedure, adminv1connect.EventServiceDiscardDeadLetterProcedure,
		adminv1connect.EventServiceGetOutboxStatusProcedure, adminv1connect.EventServiceRebuildStreamProcedure)
}

type service struct{ Events }

// logged tells of each call who made it, about what, and how it ended.
func logged(tel *telemetry.Telemetry) connect.UnaryInterceptorFunc {
	log := tel.Log.With(telemetry.Component("admin"))
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			res, err := next(ctx, req)
			caller := rpc.CallerFrom(ctx)
			attrs := []slog.Attr{slog.String("procedure", req.Spec().Procedure), slog.String("caller", caller.Name), slog.String("account", caller.Account)}
			attrs = append(attrs, subject(req.Any())...)
			if err != nil {
				attrs = append(attrs, slog.String("refused", errs.CodeOf(err)))
			}
			log.LogAttrs(ctx, slog.LevelInfo, "administered", attrs...)
			return res, err
		}
	}
}

// subject is what a request is about.
func subject(req any) (attrs []slog.Attr) {
	if r, ok := req.(interface{ GetNumber() uint64 }); ok {
		attrs = append(attrs, slog.Uint64("dead_letter", r.GetNumber()))
	}
	if r, ok := req.(interface{ GetWithData() bool }); ok {
		attrs = append(attrs, slog.Bool("with_data", r.GetWithData()))
	}
	if r, ok := req.(interface{ GetStream() string }); ok {
		attrs = append(attrs, slog.String("stream", r.GetStream()))
	}
	return attrs
}

// explain is err for the person who asked. What is not explained here is ours.
func (s service) explain(err error) error {
	connected, _ := s.Bus.Connected()
	switch {
	case err == nil:
		return nil
	case !connected, errors.Is(err, event.ErrDisconnected), errors.Is(err, context.DeadlineExceeded):
		return errs.Unavailable("nats-away", "%s does not reach NATS at the moment, where this stands. See NoteworksWithoutNATS in docs/monitoring.md.", s.Outbox.Source()).WithCause(err)
	case errors.Is(err, event.ErrNoDeadLetter):
		return errs.NotFound("no-such-dead-letter", "%s has no dead letter of this number. It was replayed or discarded, or is another service's.", s.Outbox.Source()).WithCause(err)
	case errors.Is(err, event.ErrNoStream):
		return errs.NotFound("no-such-stream", "The stream does not exist yet; the relay makes it when it reaches NATS.").WithCause(err)
	}
	return err
}

func (s service) has(consumer string) error {
	if consumer == "" || slices.Contains(s.Consumers, consumer) {
		return nil
	}
	return errs.NotFound("no-such-consumer", "%s has no consumer of this name. It has: %s.", s.Outbox.Source(), names(s.Consumers))
}
