//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"noteworks.dev/test/trace"
)

// click is a trace that begins in a browser.
type click struct{ trace, span string }

func newClick() click {
	id := make([]byte, 24)
	_, _ = rand.Read(id) // never fails
	return click{hex.EncodeToString(id[:16]), hex.EncodeToString(id[16:])}
}

func (c click) header() http.Header {
	return http.Header{"Traceparent": {"00-" + c.trace + "-" + c.span + "-01"}}
}

// requireInJaeger waits until Jaeger's query API has a whole trace with the paths, and returns it.
func (s *stack) requireInJaeger(t *testing.T, c click, paths ...[]string) trace.Trace {
	t.Helper()
	var found trace.Trace
	_, err := within(t.Context(), 30*time.Second, func(ctx context.Context) (err error) {
		if found, err = s.fromJaeger(ctx, t, c.trace); err != nil {
			return err
		}
		for _, p := range paths {
			if !found.HasPath(p...) {
				return fmt.Errorf("there is no path %s", strings.Join(p, " → "))
			}
		}
		if orphans := found.Orphans(c.span); len(orphans) > 0 {
			return fmt.Errorf("there is a hole above %v", orphans)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("trace %s in Jaeger: %v; it is\n%v", c.trace, err, found)
	}
	return found
}

// jaegerTrace is what the query API answers.
type jaegerTrace struct {
	Spans []struct {
		TraceID, SpanID, OperationName, ProcessID string
		References                                []struct{ RefType, TraceID, SpanID string }
		StartTime, Duration                       int64 // µs
	}
	Processes map[string]struct{ ServiceName string }
}

// fromJaeger asks for a trace by its id. A span of another trace, or of no known service, is an error.
func (s *stack) fromJaeger(ctx context.Context, t *testing.T, id string) (trace.Trace, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.service(t, "jaeger", "16686")+"/api/traces/"+id, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("Jaeger answered %s", resp.Status)
	}
	var answer struct{ Data []jaegerTrace }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if len(answer.Data) != 1 {
		return nil, fmt.Errorf("Jaeger knows %d traces of that id", len(answer.Data))
	}
	return answer.Data[0].trace(id)
}

func (j jaegerTrace) trace(id string) (trace.Trace, error) {
	var out trace.Trace
	for _, s := range j.Spans {
		service := j.Processes[s.ProcessID].ServiceName
		if s.TraceID != id || service == "" {
			return nil, fmt.Errorf("span %s %q is of trace %s, service %q", s.SpanID, s.OperationName, s.TraceID, service)
		}
		span := trace.Span{
			Service: service, Name: s.OperationName, ID: s.SpanID,
			Begin: time.Duration(s.StartTime) * time.Microsecond, Duration: time.Duration(s.Duration) * time.Microsecond,
		}
		for _, r := range s.References {
			switch {
			case r.RefType == "CHILD_OF" && span.Parent == "":
				span.Parent = r.SpanID
			default:
				span.Links = append(span.Links, r.TraceID)
			}
		}
		out = append(out, span)
	}
	return out, nil
}
