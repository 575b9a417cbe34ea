package spantest

import (
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Path finds spans of one trace with these names, each a descendant of the one before; nil without.
func Path(spans []sdktrace.ReadOnlySpan, names ...string) []sdktrace.ReadOnlySpan {
	if len(names) == 0 {
		return nil
	}
	ix := newIndex(spans)
	for _, last := range spans {
		if last.Name() != names[len(names)-1] {
			continue
		}
		if path := ix.upwards(last, names); path != nil {
			return path
		}
	}
	return nil
}

// index finds a span's parent.
type index map[spanKey]sdktrace.ReadOnlySpan

type spanKey struct {
	trace trace.TraceID
	span  trace.SpanID
}

func newIndex(spans []sdktrace.ReadOnlySpan) index {
	ix := make(index, len(spans))
	for _, s := range spans {
		ix[spanKey{s.SpanContext().TraceID(), s.SpanContext().SpanID()}] = s
	}
	return ix
}

func (ix index) parent(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	return ix[spanKey{s.SpanContext().TraceID(), s.Parent().SpanID()}]
}

// upwards matches names from the last to the first along the ancestors of s. Taking each name at its nearest ancestor is enough: every
// ancestor of a farther one is an ancestor of the nearer one, too.
func (ix index) upwards(s sdktrace.ReadOnlySpan, names []string) []sdktrace.ReadOnlySpan {
	path := []sdktrace.ReadOnlySpan{s}
	for at := ix.parent(s); len(path) < len(names) && at != nil; at = ix.parent(at) {
		if at.Name() == names[len(names)-1-len(path)] {
			path = append(path, at)
		}
	}
	if len(path) < len(names) {
		return nil
	}
	slices.Reverse(path)
	return path
}

// Tree is the trace id of spans as indented text. Spans whose parent was not recorded stand at the left margin.
func Tree(spans []sdktrace.ReadOnlySpan, id trace.TraceID) string {
	ix := newIndex(spans)
	children := map[trace.SpanID][]sdktrace.ReadOnlySpan{}
	for _, s := range spans {
		if s.SpanContext().TraceID() != id {
			continue
		}
		var under trace.SpanID
		if ix.parent(s) != nil {
			under = s.Parent().SpanID()
		}
		children[under] = append(children[under], s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "trace %s\n", id)
	write(&b, children, trace.SpanID{}, 1)
	return b.String()
}

func write(b *strings.Builder, children map[trace.SpanID][]sdktrace.ReadOnlySpan, under trace.SpanID, depth int) {
	level := children[under]
	slices.SortStableFunc(level, func(x, y sdktrace.ReadOnlySpan) int { return x.StartTime().Compare(y.StartTime()) })
	for _, s := range level {
		fmt.Fprintf(b, "%s%s (%s)\n", strings.Repeat("  ", depth), s.Name(), Service(s))
		write(b, children, s.SpanContext().SpanID(), depth+1)
	}
}

// Service is the name of the service that s belongs to.
func Service(s sdktrace.ReadOnlySpan) string {
	name, _ := s.Resource().Set().Value("service.name")
	return name.AsString()
}

// Attribute is the value of one of s's attributes as text, "" without it.
func Attribute(s sdktrace.ReadOnlySpan, key string) string {
	set := attribute.NewSet(s.Attributes()...)
	value, _ := set.Value(attribute.Key(key))
	return value.String()
}
