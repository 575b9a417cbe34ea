//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
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
	_, err := within(t.Context(), 30*time.Second, func(ctx context.Context) error {
		now, err := s.fromJaeger(ctx, t, c.trace)
		if err != nil {
			return err
		}
		found = now
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

// otlp is what the query API answers: OTLP as JSON, in one or several pieces. (The older /api/traces tells the parent of a span that also links
// to it as a link only.)
type otlp struct {
	Result struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []attribute }
			ScopeSpans []struct{ Spans []otlpSpan }
		}
	}
}

type attribute struct {
	Key   string
	Value struct{ StringValue string }
}

type otlpSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	StartTimeUnixNano, EndTimeUnixNano  string
	Links                               []struct{ TraceID string }
	Status                              struct{ Code json.RawMessage }
}

// fromJaeger asks for a trace by its id. A span of another trace, or of no known service, is an error.
func (s *stack) fromJaeger(ctx context.Context, t *testing.T, id string) (trace.Trace, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.service(t, "jaeger", "16686")+"/api/v3/traces/"+id, nil)
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
	var found trace.Trace
	for pieces := json.NewDecoder(resp.Body); ; {
		var piece otlp
		switch err := pieces.Decode(&piece); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		}
		more, err := piece.trace(id)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
}

func (o otlp) trace(id string) (trace.Trace, error) {
	var out trace.Trace
	for _, r := range o.Result.ResourceSpans {
		service := ""
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.StringValue
			}
		}
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				if s.TraceID != id || service == "" {
					return nil, fmt.Errorf("span %s %q is of trace %s, service %q", s.SpanID, s.Name, s.TraceID, service)
				}
				out = append(out, s.span(service))
			}
		}
	}
	return out, nil
}

func (s otlpSpan) span(service string) trace.Span {
	begin, _ := strconv.ParseInt(s.StartTimeUnixNano, 10, 64)
	end, _ := strconv.ParseInt(s.EndTimeUnixNano, 10, 64)
	out := trace.Span{
		Service: service, Name: s.Name, ID: s.SpanID, Parent: s.ParentSpanID, Failed: strings.Trim(string(s.Status.Code), `"`) == "2",
		Begin: time.Duration(begin), Duration: time.Duration(end - begin),
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, l.TraceID)
	}
	return out
}
