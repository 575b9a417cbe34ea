// Package proxy sends REST requests on to the service that owns their path, and its answers back.
//
// It promises: what a stranger says about identity, origin or method overrides goes no further; bodies are streamed and bounded; a
// service that is away is a 503 with Retry-After at once, one that takes too long a 504; a client that leaves takes its request along.
// Nothing is ever upgraded. Imports net/http/httputil, OpenTelemetry and the kit.
package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

// Proxy is an http.Handler for all paths that UpstreamOf knows.
type Proxy struct {
	to      [upstreams]*httputil.ReverseProxy
	trusted []netip.Prefix
}

// New sends requests to the transports, which choose the address. Proxies in trusted may say who they forward for.
func New(transports map[Upstream]http.RoundTripper, trusted []netip.Prefix) *Proxy {
	p := &Proxy{trusted: trusted}
	buffers := &buffers{}
	for upstream, transport := range transports {
		p.to[upstream] = &httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { p.rewrite(r, upstream) },
			Transport:      transport,
			BufferPool:     buffers,
			ModifyResponse: strip,
			ErrorHandler:   answer,
			ErrorLog:       nil, // ErrorHandler says it; what is left is copying to a client that left
		}
	}
	return p
}

// Traced gives each request through t a client span and passes its context on.
func Traced(t http.RoundTripper, tel *telemetry.Telemetry) http.RoundTripper {
	return otelhttp.NewTransport(t,
		otelhttp.WithTracerProvider(tel.Tracers),
		otelhttp.WithMeterProvider(tel.Meters),
		otelhttp.WithPropagators(tel.Propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + Template(r.URL.Path) }))
}

// ServeHTTP forwards r, or answers 404 for a path that nobody serves.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := p.to[UpstreamOf(r.URL.Path)]
	if to == nil {
		problem.Write(w, r, errs.NotFound("not-found", "There is nothing at this address."))
		return
	}
	to.ServeHTTP(w, watchBody(r))
}

// rewrite makes the request that goes on. Hop-by-hop headers have been removed by then.
func (p *Proxy) rewrite(r *httputil.ProxyRequest, upstream Upstream) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", upstream.String()
	r.Out.Host = r.In.Host
	h := r.Out.Header
	for name := range h {
		if forged(name) {
			delete(h, name)
		}
	}
	h.Del("Connection") // the two that a request for an upgrade gets back
	h.Del("Upgrade")
	if client := httpserver.ClientIP(r.In, p.trusted); client.IsValid() {
		h.Set("X-Forwarded-For", client.String())
	}
	h.Set("X-Forwarded-Proto", httpserver.Scheme(r.In, p.trusted))
	h.Set("X-Forwarded-Host", r.In.Host)
	if _, ok := h["User-Agent"]; !ok {
		h.Set("User-Agent", "") // or net/http would make one up
	}
}

// forged reports whether a header says what only we may say, or asks for what nobody may have. Names are canonical.
func forged(name string) bool {
	switch name {
	case "Baggage", "Tracestate", "Traceparent", "Forwarded", "Via", "X-Real-Ip", "True-Client-Ip", "X-Client-Ip",
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Original-Method", "X-Rewrite-Url":
		return true
	}
	for _, prefix := range []string{"X-Forwarded-", "X-User-", "X-Workspace-", "X-Auth-", "X-Remote-", "X-Noteworks-", "Nw-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.EqualFold(name, "x-user") || strings.EqualFold(name, "x-workspace") || strings.Contains(name, "_")
}

// strip removes what the gateway says itself, or what is nobody's business.
func strip(res *http.Response) error {
	for _, name := range []string{"Server", "X-Powered-By", "X-Content-Type-Options", "Traceparent", "Tracestate"} {
		res.Header.Del(name)
	}
	return nil
}

// answer is for requests that got no answer from their service.
func answer(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	var failed *bodyError
	switch {
	case errors.As(err, &tooLarge):
		err = errs.TooLarge("body-too-large", "The body is over %d bytes.", tooLarge.Limit)
	case errors.As(err, &failed) && r.Context().Err() == nil:
		err = errs.Invalid("incomplete-body", "The body ended before it was complete.").WithCause(err)
	case errors.Is(err, context.DeadlineExceeded):
		err = errs.Timeout("timeout", "It took too long and was given up.").WithCause(err)
	case errors.Is(err, context.Canceled):
	case errs.KindOf(err) == errs.KindInternal:
		err = errs.Unavailable("upstream-unavailable", "Part of the service is away at the moment. Please try again.").
			WithCause(err).WithRetryAfter(time.Second)
	}
	problem.Write(w, r, err)
}

// buffers are shared by all copies of answers.
type buffers struct{ pool sync.Pool }

const bufferSize = 16 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
