// Package trace looks at the spans of one trace as a person looks at it in Jaeger: which hop lies below which, and is there a hole. It knows no
// exporter and no query API: who gathers the spans hands them over.
//
// Imports the standard library.
package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Span is what a trace is asked about.
type Span struct {
	Service, Name string
	ID, Parent    string
	Links         []string // trace ids
	Failed        bool
	// Begin counts from any fixed moment.
	Begin, Duration time.Duration
}

func (s Span) String() string { return s.Service + ": " + s.Name }

// Trace is the spans of one trace, in any order.
type Trace []Span

// HasPath says whether the trace holds spans, each named "service: part of the name", of which each is a descendant of the one before.
func (t Trace) HasPath(path ...string) bool {
	byID := map[string]Span{}
	for _, s := range t {
		byID[s.ID] = s
	}
	return slices.ContainsFunc(t, func(s Span) bool {
		rest := path
		for {
			if matches(s, rest[len(rest)-1]) {
				rest = rest[:len(rest)-1]
			} else if len(rest) == len(path) {
				return false // the last step must be this very span
			}
			if len(rest) == 0 {
				return true
			}
			up, ok := byID[s.Parent]
			if !ok {
				return false
			}
			s = up
		}
	})
}

func matches(s Span, step string) bool {
	service, name, _ := strings.Cut(step, ": ")
	return s.Service == service && strings.Contains(s.Name, name)
}

// Orphans are the spans whose parent is missing, but for those of root, which is the span of a caller that exports none.
func (t Trace) Orphans(root string) Trace {
	var found Trace
	for _, s := range t {
		if s.Parent != root && !t.holds(s.Parent) {
			found = append(found, s)
		}
	}
	return found
}

func (t Trace) holds(id string) bool {
	return slices.ContainsFunc(t, func(s Span) bool { return s.ID == id })
}

// Services are the services that took part.
func (t Trace) Services() []string {
	var names []string
	for _, s := range t {
		names = append(names, s.Service)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// String is the trace as an indented tree in order of time.
func (t Trace) String() string {
	t = slices.SortedFunc(slices.Values(t), func(a, b Span) int { return int(a.Begin - b.Begin) })
	var b strings.Builder
	var write func(s Span, depth int)
	write = func(s Span, depth int) {
		_, _ = fmt.Fprintf(&b, "%s%v (%v)\n", strings.Repeat("  ", depth), s, s.Duration)
		for _, below := range t {
			if below.Parent == s.ID {
				write(below, depth+1)
			}
		}
	}
	for _, s := range t {
		if !t.holds(s.Parent) {
			write(s, 0)
		}
	}
	return b.String()
}
