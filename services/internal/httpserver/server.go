// Package httpserver is how a service listens: net/http with every timeout and limit set, a drain that ends, an operations port, and the
// pieces each door needs in the same way (traces, recovery, strict JSON, conditional GET).
//
// It promises: no request outlives its deadline or its limits; whatever goes wrong is answered by package problem; a panic is
// one 500 and one log line; Stop first sends callers elsewhere, with each answer, then lets running requests end until its context does, then closes. Hijacked connections are their
// owner's to close. Imports net/http, OpenTelemetry and the kit; of gin only the interface of its JSON codec.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/services/internal/loopback"
	"noteworks.dev/services/internal/telemetry"
)

const (
	// MaxBody is the default limit of a request body.
	MaxBody = 2 << 20
	// RequestTimeout is the default deadline of a request.
	RequestTimeout = 10 * time.Second

	maxHeader         = 32 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
)

// Server is one listening port. Its lifecycle is New, Start once, Stop; Stop may come at any time and any number of times.
type Server struct {
	name, addr string
	tel        *telemetry.Telemetry
	http       *http.Server
	linger     time.Duration
	draining   atomic.Bool
	conns      atomic.Int64
	empty      chan struct{} // gets a token when the last connection went

	mu     sync.Mutex
	drain  time.Time // when draining began
	state  state
	bound  net.Addr
	served chan struct{} // closed when Serve has returned
	// Of an operations server: why it was not ready when it was last asked, and whether it ever was.
	reason    string
	everReady bool
}

type state uint8

const (
	idle state = iota
	running
	stopped
)

var (
	errStarted = errors.New("started twice")
	errStopped = errors.New("stopped already")
)

// New prepares a server that answers with h on addr ("" host means every interface, port 0 any free one). name is for people.
func New(name, addr string, h http.Handler, tel *telemetry.Telemetry, opts ...Option) *Server {
	set := defaults()
	for _, opt := range opts {
		opt(&set)
	}
	s := &Server{name: name, addr: addr, tel: tel, linger: set.linger, empty: make(chan struct{}, 1)}
	s.http = &http.Server{
		Handler:           s.parting(guard(h, tel, set)),
		ConnState:         s.count,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       set.read,
		WriteTimeout:      set.write,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader + 8<<10, // beyond it net/http answers a bare 431; guard answers a problem before that
		ErrorLog:          slog.NewLogLogger(tel.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return telemetry.WithLog(context.Background(), tel.Log) },
	}
	if set.h2c {
		s.http.Protocols = new(http.Protocols)
		s.http.Protocols.SetHTTP1(true)
		s.http.Protocols.SetUnencryptedHTTP2(true)
	}
	return s
}

// Start returns when the port is bound and served. ctx bounds the binding only.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case running:
		return fmt.Errorf("%s: %w", s.name, errStarted)
	case stopped:
		return fmt.Errorf("%s: %w", s.name, errStopped)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("%s cannot listen on %s: %w", s.name, s.addr, err)
	}
	s.state, s.bound, s.served = running, ln.Addr(), make(chan struct{})
	go s.serve(ln, loopback.Listen(ln))
	return nil
}

// serve serves all until the end.
func (s *Server) serve(all ...net.Listener) {
	defer close(s.served)
	var serving sync.WaitGroup
	for _, ln := range all {
		serving.Go(func() { s.serveOne(ln) })
	}
	serving.Wait()
}

func (s *Server) serveOne(ln net.Listener) {
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		s.tel.Log.Error("server ended by itself", slog.String("server", s.name), telemetry.Err(err))
	}
}

// Drain begins the end while everything is still served: an operations server answers "not ready", and every server asks its callers, with each answer, to
// close the connection and come again by another one, which leads to another replica. It is the first step of stopping a service, and of Stop.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.CompareAndSwap(false, true) {
		s.drain = time.Now()
	}
}

// parting tells callers to close: in HTTP/1.1 by this header, in HTTP/2 by the GOAWAY that net/http makes of it.
func (s *Server) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) count(_ net.Conn, now http.ConnState) {
	switch now {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		if s.conns.Add(-1) == 0 {
			select {
			case s.empty <- struct{}{}:
			default:
			}
		}
	case http.StateActive, http.StateIdle:
	}
}

// Stop drains for as long as WithLinger says, unless all connections are gone sooner. Then it takes no new one, waits for running requests until ctx ends,
// cuts off the rest and says so by ctx's error.
func (s *Server) Stop(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	was, served, until := s.state, s.served, s.drain.Add(s.linger)
	s.state = stopped
	s.mu.Unlock()
	if was == idle || served == nil {
		return nil
	}
	s.lingerUntil(ctx, until, served)
	if err := s.http.Shutdown(ctx); err != nil {
		err = errors.Join(err, s.http.Close())
		<-served
		return fmt.Errorf("%s: requests cut off: %w", s.name, err)
	}
	<-served
	return nil
}

func (s *Server) lingerUntil(ctx context.Context, until time.Time, served <-chan struct{}) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for s.conns.Load() > 0 && time.Now().Before(until) {
		select {
		case <-s.empty:
		case <-timer.C:
		case <-served: // somebody else has stopped it
			return
		case <-ctx.Done():
			return
		}
	}
}

// Addr is the bound address while running, and the configured one before.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound == nil {
		return s.addr
	}
	return s.bound.String()
}
