// Package program runs a service: the words that may follow its name, its settings, telemetry of its own, start, what it waits for, and an end in
// the right order. The three services' mains use Main and Serve; allinone starts the same services by Start in one process.
//
// Imports config, pg and telemetry. Knows no service.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/telemetry"
)

// flushPatience bounds sending the last spans; losing them is no reason to wait.
const flushPatience = 2 * time.Second

// Service is what every server package's Server is.
type Service interface {
	// Start returns when the service serves; until then it waits for what it needs, as long as ctx lives. One that fails has stopped what it had started.
	Start(ctx context.Context) error
	// Stop drains until ctx ends.
	Stop(ctx context.Context) error
}

// Build makes a service of its settings; it is every server package's New.
type Build[C any, S Service] func(ctx context.Context, cfg C, tel *telemetry.Telemetry) (S, error)

// Start reads the settings that lookup answers, builds the service called name and starts it. stop ends it and sends its last spans.
// The error of settings names each of them.
func Start[C any, S Service](ctx context.Context, name string, lookup config.LookupFunc, logs io.Writer, build Build[C, S]) (stop func(context.Context) error, err error) {
	cfg, err := config.Load[C](lookup)
	if err != nil {
		return nil, err
	}
	return start(ctx, name, cfg, lookup, logs, build)
}

// Serve starts the service, serves until ctx ends, and stops it within what grace says of its settings. To be told to stop while it starts, or
// waits for something, is no failure.
func Serve[C any, S Service](ctx context.Context, name string, lookup config.LookupFunc, logs io.Writer, build Build[C, S], grace func(C) time.Duration) error {
	cfg, err := config.Load[C](lookup)
	if err != nil {
		return err
	}
	stop, err := start(ctx, name, cfg, lookup, logs, build)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace(cfg))
	defer cancel()
	return stop(stopping)
}

func start[C any, S Service](ctx context.Context, name string, cfg C, lookup config.LookupFunc, logs io.Writer, build Build[C, S]) (func(context.Context) error, error) {
	tel, err := telemetry.New(ctx, name, lookup, logs)
	if err != nil {
		return nil, err
	}
	s, err := build(ctx, cfg, tel)
	if err != nil {
		return nil, errors.Join(err, flush(ctx, tel))
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start: %w", err), flush(ctx, tel))
	}
	return func(ctx context.Context) error { return errors.Join(s.Stop(ctx), flush(ctx, tel)) }, nil
}

func flush(ctx context.Context, tel *telemetry.Telemetry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushPatience)
	defer cancel()
	return tel.Shutdown(ctx)
}
