package systemtest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"noteworks.dev/test/trace"
)

// collector receives OTLP over HTTP as Jaeger would, from this process and from others.
type collector struct {
	url string

	mu     sync.Mutex
	traces map[string]trace.Trace
	news   chan struct{} // closed and replaced at each arrival
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{traces: map[string]trace.Trace{}, news: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(c.receive))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *collector) receive(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	var req collectorv1.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.add(&req)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) add(req *collectorv1.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		service := ""
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				id := hex.EncodeToString(s.GetTraceId())
				c.traces[id] = append(c.traces[id], spanOf(service, s))
			}
		}
	}
	close(c.news)
	c.news = make(chan struct{})
}

func spanOf(service string, s *tracev1.Span) trace.Span {
	out := trace.Span{
		Service: service, Name: s.GetName(), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Failed: s.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR,
		Begin:  time.Duration(s.GetStartTimeUnixNano()), Duration: time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()),
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetTraceId()))
	}
	return out
}

// requirePaths waits until the trace holds each path: spans, named "service: part of the name", each a descendant of the one before.
func (c *collector) requirePaths(t *testing.T, traceID string, paths ...[]string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		spans, news := slices.Clone(c.traces[traceID]), c.news
		c.mu.Unlock()
		missing := slices.IndexFunc(paths, func(p []string) bool { return !spans.HasPath(p...) })
		if missing < 0 {
			return
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("trace %s has no path %s; it is\n%s", traceID, strings.Join(paths[missing], " → "), spans)
		}
	}
}

// requireWhole waits until every span of the trace but the browser's has its parent in the trace: no hole anywhere.
func (c *collector) requireWhole(t *testing.T, traceID, browser string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		spans, news := slices.Clone(c.traces[traceID]), c.news
		c.mu.Unlock()
		orphans := spans.Orphans(browser)
		if len(spans) > 0 && len(orphans) == 0 {
			return
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("trace %s has a hole above %v:\n%s", traceID, orphans[0], spans)
		}
	}
}
