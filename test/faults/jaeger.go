package main

import (
	"context"
	"time"

	"noteworks.dev/test/local"
)

// jaegerFaults are those of a real Jaeger, whose program takes minutes to build: there are none without it.
func jaegerFaults(program string) []scenario {
	if program == "" {
		return nil
	}
	return []scenario{{
		name: "Jaeger short of memory", row: "the trace collector short of memory", own: true, shape: jaegerAt(program),
		lasts: 20 * time.Second, breaks: starveJaeger, heals: feedJaeger, holds: writesWentOn,
	}}
}

// jaegerAt starts Jaeger and has every request traced.
func jaegerAt(program string) func(w *world, o *local.SpreadOptions) error {
	return func(w *world, o *local.SpreadOptions) error {
		var err error
		if w.jaeger, err = local.NewJaeger(program, w.dir, w.logs.of("jaeger")); err != nil {
			return err
		}
		o.Settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = w.jaeger.OTLP
		ctx, cancel := context.WithTimeout(context.Background(), startPatience)
		defer cancel()
		return w.jaeger.Start(ctx)
	}
}

// starveJaeger starts it again with less memory than it takes without a trace.
func starveJaeger(ctx context.Context, r *round) error { return r.restartJaeger(ctx, 16) }

func feedJaeger(ctx context.Context, r *round) error {
	families, err := readAt(ctx, r.jaeger.Metrics)
	if err != nil {
		return err
	}
	refused := families.sum("otelcol_receiver_refused_spans_total")
	r.check(refused > 0, "it refused %.0f spans", refused)
	return r.restartJaeger(ctx, 0)
}

func (r *round) restartJaeger(ctx context.Context, mib int) error {
	if err := r.jaeger.Limit(mib); err != nil {
		return err
	}
	if err := r.jaeger.Stop(); err != nil {
		return err
	}
	return r.jaeger.Start(ctx)
}
