package httpserver

import (
	"net/http"
	"time"
)

// Option changes a Server's limits.
type Option func(*options)

type options struct {
	maxBody     int64
	timeout     time.Duration
	read, write time.Duration
	h2c         bool
	longLived   func(*http.Request) bool
	linger      time.Duration
}

func defaults() options {
	return options{
		maxBody:   MaxBody,
		timeout:   RequestTimeout,
		read:      readTimeout,
		write:     writeTimeout,
		longLived: func(*http.Request) bool { return false },
	}
}

// WithH2C also speaks HTTP/2 without TLS, which gRPC needs on an internal port.
func WithH2C() Option { return func(o *options) { o.h2c = true } }

// WithMaxBody limits request bodies to n bytes; one more is answered 413.
func WithMaxBody(n int64) Option { return func(o *options) { o.maxBody = n } }

// WithRequestTimeout is the deadline of a request's context. 0 sets none.
func WithRequestTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithoutWriteTimeout is for servers that stream.
func WithoutWriteTimeout() Option {
	return func(o *options) { o.read, o.write = 0, 0 }
}

// WithLongLived exempts the requests that is reports from the deadline: a WebSocket's lasts as long as the socket. It must not
// depend on what a caller says freely, so look at the path.
func WithLongLived(is func(*http.Request) bool) Option {
	return func(o *options) { o.longLived = is }
}

// WithLinger goes on serving for up to d after draining began, so that callers leave by themselves: a connection that is closed while it is idle may have a
// request on its way, and nobody can tell whether that was done.
func WithLinger(d time.Duration) Option { return func(o *options) { o.linger = d } }
