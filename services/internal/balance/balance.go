// Package balance sends each request of a client to the next healthy address of an upstream. A connection that lives long would
// otherwise pin its caller to one replica.
//
// It promises: addresses are asked of DNS anew every few seconds, at once when one refuses, and kept while DNS is away; an address that refuses connections
// is left out for a moment; a request that was never taken is tried on every other address, and one that failed on its way only if doing it twice is as good as
// once (GET, HEAD, PUT, and what carries an Idempotency-Key), within a budget of 10 % of all requests; bodies of up to 64 kB are kept for that, longer ones are
// streamed; a breaker per upstream; errs.Unavailable when all of it did not help. Redirects are not followed.
package balance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/breaker"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/loopback"
	"noteworks.dev/services/internal/telemetry"
)

const (
	maxAttempts    = 3 // that reach somebody
	maxRefusals    = 8 // that reach nobody
	dialTimeout    = time.Second
	idleTimeout    = 30 * time.Second
	maxIdlePerAddr = 64
	retryAfter     = time.Second
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Transport is an http.RoundTripper to one upstream: it replaces the scheme and address of each request's URL and keeps its path, its Host and
// everything else. It runs nothing in the background that outlives a few seconds, so it needs no closing.
type Transport struct {
	base    *url.URL
	pool    *pool
	inner   *http.Transport
	breaker *breaker.Breaker
	budget  *budget
}

// Option changes how New builds a Transport.
type Option func(*options)

type options struct {
	resolver Resolver
	now      func() time.Time
}

// WithResolver asks r instead of the system.
func WithResolver(r Resolver) Option { return func(o *options) { o.resolver = r } }

// WithClock takes the time from now.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// New is a Transport to the upstream at base ("http://note:8081"); name is what people call it.
func New(name, base string, tel *telemetry.Telemetry, opts ...Option) (*Transport, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("upstream %s: the address should be a URL such as http://host:8080", name)
	}
	o := options{resolver: net.DefaultResolver, now: time.Now}
	for _, opt := range opts {
		opt(&o)
	}
	b, err := breaker.New(name, tel)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", name, err)
	}
	return &Transport{
		base:    u,
		pool:    newPool(u, o.resolver, o.now),
		inner:   inner(u),
		breaker: b,
		budget:  newBudget(),
	}, nil
}

func inner(u *url.URL) *http.Transport {
	t := &http.Transport{
		DialContext:           loopback.Dial(&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}),
		MaxIdleConnsPerHost:   maxIdlePerAddr,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   2 * dialTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // what the upstream sent goes on as it is
	}
	if u.Scheme == "https" {
		t.TLSClientConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12} // the URL will hold an address
	}
	return t
}

// CloseIdleConnections lets go of connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.inner.CloseIdleConnections() }

// RoundTrip sends r to the next address. Its error is errs.Unavailable when the upstream cannot be reached or the breaker is open, says what is
// wrong with a body that could not be read, and wraps the context's error when that ended first.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := hold(r)
	if _, broken := body.state(); broken != nil {
		body.discard()
		return nil, failure(r.Context(), broken, body)
	}
	done, err := t.breaker.Allow()
	if err != nil {
		body.discard()
		return nil, err
	}
	res, err := t.try(r, body)
	done(blameless(r.Context(), err, body))
	if err != nil {
		body.discard()
		return nil, failure(r.Context(), err, body)
	}
	body.release()
	return res, nil
}

// blameless is err, or a cancellation when the caller is to blame: its body broke off, or did not arrive in time. Otherwise a few bodies that
// are too long or too slow would open the breaker for everyone.
func blameless(ctx context.Context, err error, body *heldBody) error {
	ended, broken := body.state()
	if err != nil && (broken != nil || ctx.Err() != nil && !ended) {
		return context.Canceled
	}
	return err
}

func (t *Transport) try(r *http.Request, body *heldBody) (*http.Response, error) {
	t.budget.deposit()
	var last error
	var used []netip.AddrPort
	for attempts, refusals := 0, 0; attempts < maxAttempts && refusals < maxRefusals; {
		addr, err := t.pool.next(r.Context(), used)
		if errors.Is(err, errNoOther) {
			return nil, last
		}
		if err != nil {
			return nil, errors.Join(err, last)
		}
		if len(used) > 0 {
			trace.SpanFromContext(r.Context()).AddEvent("retry", trace.WithAttributes(attribute.String("server.address", addr.String())))
		}
		res, err := t.inner.RoundTrip(t.outbound(r, addr, body))
		if err == nil {
			t.pool.worked(addr)
			return res, nil
		}
		last = err
		switch {
		case r.Context().Err() != nil || body.spent():
			return nil, err
		case refused(err):
			t.pool.refused(addr)
			used = append(used, addr)
			refusals++
		case closedIdle(err): // the same address may do: its other connections, or a new one
			refusals++
		case repeatable(r) && t.budget.withdraw():
			used = append(used, addr)
			attempts++
		default:
			return nil, err
		}
	}
	return nil, last
}

// refused reports whether no connection was made: nothing left.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// closedIdle reports whether the connection had been closed, by a server that goes, before the request was on it. net/http has no name for the error.
func closedIdle(err error) bool {
	return strings.Contains(err.Error(), "server closed idle connection")
}

// repeatable reports whether doing r twice is as good as once. A second DELETE is not: it would say that there was nothing to delete.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut:
		return true
	}
	return r.Header.Get("Idempotency-Key") != ""
}

// outbound is r for addr. RoundTrippers must not change the request they are given; its headers are the same, and nobody's to change.
func (t *Transport) outbound(r *http.Request, addr netip.AddrPort, body *heldBody) *http.Request {
	out, to := r.WithContext(r.Context()), *r.URL
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	to.Scheme, to.Host = t.base.Scheme, addr.String()
	out.URL = &to
	body.put(out)
	return out
}

func failure(ctx context.Context, err error, body *heldBody) error {
	var over *http.MaxBytesError
	_, broken := body.state()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.As(broken, &over):
		return errs.TooLarge("body-too-large", "The body is over %d bytes.", over.Limit).WithCause(err)
	case broken != nil:
		return errs.Invalid("invalid-request", "The body ended before it was complete.").WithCause(broken)
	}
	return errs.Unavailable("upstream-unavailable", "Part of the service is away at the moment. Please try again.").
		WithCause(err).WithRetryAfter(retryAfter)
}
