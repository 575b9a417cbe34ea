package telemetry

import (
	"context"
	"fmt"
	"math/rand/v2"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type publicDoor struct{}

// PublicDoor marks ctx as a request of a stranger: a span started from it keeps the trace id it came with, but whether the trace is
// sampled is decided here, because a caller could otherwise have everything recorded by setting one flag.
func PublicDoor(ctx context.Context) context.Context {
	return context.WithValue(ctx, publicDoor{}, true)
}

const (
	always      = "always_on"
	never       = "always_off"
	ratio       = "traceidratio"
	parentBased = "parentbased_"
)

func samplers() []string {
	return []string{always, never, ratio, parentBased + always, parentBased + never, parentBased + ratio}
}

// sampler is the one the settings name, with the public door's rule around it.
func (s *settings) sampler() sdktrace.Sampler {
	root, share := s.rootSampler()
	inside := root
	if len(s.Sampler) > len(parentBased) && s.Sampler[:len(parentBased)] == parentBased {
		inside = sdktrace.ParentBased(root)
	}
	return doorSampler{inside: inside, share: share}
}

func (s *settings) rootSampler() (root sdktrace.Sampler, share float64) {
	switch s.Sampler {
	case never, parentBased + never:
		return sdktrace.NeverSample(), 0
	case ratio, parentBased + ratio:
		return sdktrace.TraceIDRatioBased(s.SamplerArg), s.SamplerArg
	}
	return sdktrace.AlwaysSample(), 1
}

// doorSampler decides by chance for spans whose remote parent came through the public door: by trace id would let a caller
// choose, too. Everything else is up to the sampler inside.
type doorSampler struct {
	inside sdktrace.Sampler
	share  float64
}

func (d doorSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if p.ParentContext.Value(publicDoor{}) == nil || !parent.IsRemote() {
		return d.inside.ShouldSample(p)
	}
	result := sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: parent.TraceState()}
	if rand.Float64() < d.share { //nolint:gosec // a sampling decision is no secret
		result.Decision = sdktrace.RecordAndSample
	}
	return result
}

func (d doorSampler) Description() string {
	return fmt.Sprintf("PublicDoor{%g,%s}", d.share, d.inside.Description())
}
