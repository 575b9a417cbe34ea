// Package spantest records spans in tests, of as many services as are given the same Recorder, and asserts the shape of a trace. It promises to
// wait for spans by being told of them, never by the clock, and to print the trees when they are not what was asked for.
package spantest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// patience is how long a span may take to appear: far longer than any should on a busy machine.
const patience = 15 * time.Second

// Recorder is a span processor that keeps every ended span. Give it to telemetry.WithSpanProcessor of each service.
type Recorder struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
	news  chan struct{} // closed and replaced at each new span
}

// New is an empty Recorder.
func New() *Recorder { return &Recorder{news: make(chan struct{})} }

// OnStart does nothing: a span counts when it has ended.
func (r *Recorder) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd keeps s and wakes who waits.
func (r *Recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, s)
	close(r.news)
	r.news = make(chan struct{})
}

// Shutdown keeps what was recorded.
func (r *Recorder) Shutdown(context.Context) error { return nil }

// ForceFlush has nothing to flush.
func (r *Recorder) ForceFlush(context.Context) error { return nil }

// Reset forgets everything recorded so far.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = nil
}

// Spans is what has ended so far, in that order.
func (r *Recorder) Spans() []sdktrace.ReadOnlySpan {
	spans, _ := r.snapshot()
	return spans
}

func (r *Recorder) snapshot() (spans []sdktrace.ReadOnlySpan, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans), r.news
}

// RequirePath waits until one trace has spans with these names in which each is a descendant of the one before, and returns them. It fails t
// with the trees of all traces that hold the first name.
func (r *Recorder) RequirePath(t testing.TB, names ...string) []sdktrace.ReadOnlySpan {
	t.Helper()
	found := r.Require(t, fmt.Sprintf("a trace with the path %q", names), func(spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
		return Path(spans, names...)
	})
	if found == nil {
		t.Fatalf("traces with %q:\n%s", names[0], r.treesWith(names[0]))
	}
	return found
}

// Require waits until find answers something about the spans recorded so far. After 15 s it reports what was missing as an error, and returns nil.
func (r *Recorder) Require(t testing.TB, what string, find func([]sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	t.Helper()
	if found := r.wait(patience, find); found != nil {
		return found
	}
	t.Errorf("%s did not appear within %s", what, patience)
	return nil
}

func (r *Recorder) wait(limit time.Duration, find func([]sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		spans, more := r.snapshot()
		if found := find(spans); found != nil {
			return found
		}
		select {
		case <-more:
		case <-deadline.C:
			return nil
		}
	}
}

// Tree is the trace as indented text, one span a line with its service, children in the order they started.
func (r *Recorder) Tree(id trace.TraceID) string {
	return Tree(r.Spans(), id)
}

func (r *Recorder) treesWith(name string) string {
	spans := r.Spans()
	var b strings.Builder
	seen := map[trace.TraceID]bool{}
	for _, s := range spans {
		id := s.SpanContext().TraceID()
		if s.Name() == name && !seen[id] {
			seen[id] = true
			b.WriteString(Tree(spans, id))
		}
	}
	if b.Len() == 0 {
		return "(none; there are: " + strings.Join(namesOf(spans), ", ") + ")"
	}
	return b.String()
}

func namesOf(spans []sdktrace.ReadOnlySpan) []string {
	var names []string
	for _, s := range spans {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
