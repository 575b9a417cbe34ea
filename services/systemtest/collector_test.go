package systemtest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
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
)

// span is what the tests look at.
type span struct {
	service, name   string
	id, parent      string
	links           []string // trace ids
	failed          bool
	begin, duration time.Duration
}

func (s span) String() string { return s.service + ": " + s.name }

// collector receives OTLP over HTTP as Jaeger would, from this process and from others.
type collector struct {
	url string

	mu     sync.Mutex
	traces map[string][]span
	news   chan struct{} // closed and replaced at each arrival
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{traces: map[string][]span{}, news: make(chan struct{})}
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

func spanOf(service string, s *tracev1.Span) span {
	out := span{
		service: service, name: s.GetName(), id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
		failed: s.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR,
		begin:  time.Duration(s.GetStartTimeUnixNano()), duration: time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()),
	}
	for _, l := range s.GetLinks() {
		out.links = append(out.links, hex.EncodeToString(l.GetTraceId()))
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
		missing := slices.IndexFunc(paths, func(p []string) bool { return !hasPath(spans, p) })
		if missing < 0 {
			return
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("trace %s has no path %s; it is\n%s", traceID, strings.Join(paths[missing], " → "), tree(spans))
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
		orphan := slices.IndexFunc(spans, func(s span) bool {
			return s.parent != browser && !slices.ContainsFunc(spans, func(p span) bool { return p.id == s.parent })
		})
		if len(spans) > 0 && orphan < 0 {
			return
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("trace %s has a hole above %v:\n%s", traceID, spans[orphan], tree(spans))
		}
	}
}

func hasPath(spans []span, path []string) bool {
	byID := map[string]span{}
	for _, s := range spans {
		byID[s.id] = s
	}
	return slices.ContainsFunc(spans, func(s span) bool {
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
			up, ok := byID[s.parent]
			if !ok {
				return false
			}
			s = up
		}
	})
}

func matches(s span, step string) bool {
	service, name, _ := strings.Cut(step, ": ")
	return s.service == service && strings.Contains(s.name, name)
}

func tree(spans []span) string {
	var b strings.Builder
	slices.SortFunc(spans, func(a, b span) int { return int(a.begin - b.begin) })
	var print func(parent string, depth int)
	print = func(parent string, depth int) {
		for _, s := range spans {
			if s.parent == parent {
				_, _ = fmt.Fprintf(&b, "%s%v (%v)\n", strings.Repeat("  ", depth), s, s.duration)
				print(s.id, depth+1)
			}
		}
	}
	for _, s := range spans {
		if !slices.ContainsFunc(spans, func(p span) bool { return p.id == s.parent }) {
			_, _ = fmt.Fprintf(&b, "%v (%v)\n", s, s.duration)
			print(s.id, 1)
		}
	}
	return b.String()
}
