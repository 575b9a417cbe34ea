package socket

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

// Verify answers who a token speaks for. Its errors are the verifier's.
type Verify func(ctx context.Context, token string) (live.Identity, error)

// Enter is the id of the workspace that r's Host names, if a socket may be opened there now.
type Enter func(r *http.Request) (string, error)

// Server upgrades requests to sockets of the hub. Start it before the first request.
type Server struct {
	cfg    Config
	hub    *live.Hub
	verify Verify
	enter  Enter
	log    *slog.Logger
	now    func() time.Time

	readers sync.Pool

	mu       sync.Mutex
	peers    map[*peer]struct{}
	opening  int
	draining bool
	dead     int64

	running sync.WaitGroup
	stop    context.CancelFunc // set by Start
}

// NewServer is a server of sockets for hub.
func NewServer(cfg Config, hub *live.Hub, verify Verify, enter Enter, tel *telemetry.Telemetry, now func() time.Time) *Server {
	return &Server{
		cfg: cfg, hub: hub, verify: verify, enter: enter, now: now,
		log:     tel.Log.With(telemetry.Component("live")),
		peers:   make(map[*peer]struct{}),
		readers: sync.Pool{New: newReader},
	}
}

// Start runs the keeper until Stop.
func (s *Server) Start(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining || s.stop != nil {
		return errors.New("live sockets: started before")
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.keep(ctx) })
	return nil
}

// ServeHTTP upgrades r, or answers why not.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	workspace, err := s.admit(r)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	if !s.reserve() {
		problem.Write(w, r, errs.Unavailable("live-unavailable", "No further sockets are taken here. Please try again.").WithRetryAfter(time.Second))
		return
	}
	p := &peer{server: s, host: workspace, opened: s.now()}
	err = p.open(w, r)
	s.opened(p, err == nil)
	if err != nil {
		s.running.Done()
		telemetry.LogFrom(r.Context()).DebugContext(r.Context(), "not upgraded", telemetry.Err(err))
		return
	}
	go p.read() // the request's own goroutine, with its buffers, ends here
}

func (s *Server) admit(r *http.Request) (workspace string, err error) {
	switch {
	case r.Method != http.MethodGet:
		return "", errs.New(errs.KindMethodNotAllowed, "method-not-allowed", "A live socket is opened by GET.")
	case r.URL.RawQuery != "":
		return "", errs.Invalid("query-not-allowed", "The live socket takes no parameters: a token in a URL ends up in logs. Send it in the first frame.")
	case !isHandshake(r):
		return "", errs.Invalid("websocket-required", "This address speaks WebSocket, version 13.")
	case !originAllowed(r, s.cfg.AllowedOrigins):
		return "", errs.Forbidden("foreign-origin", "Pages of other sites may not connect.")
	}
	return s.enter(r)
}

func isHandshake(r *http.Request) bool {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	return err == nil && len(key) == 16 && r.ProtoMajor == 1 &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		hasToken(r.Header.Get("Connection"), "upgrade") &&
		r.Header.Get("Sec-WebSocket-Version") == "13"
}

func hasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), token) {
			return true
		}
	}
	return false
}

// reserve keeps a place for a socket, and for Stop to wait for.
func (s *Server) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining || len(s.peers)+s.opening >= s.cfg.MaxSockets {
		return false
	}
	s.opening++
	s.running.Add(1)
	return true
}

// opened gives the reserved place to p, or back. A Stop that began meanwhile has not seen p.
func (s *Server) opened(p *peer, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if !ok {
		return
	}
	s.peers[p] = struct{}{}
	if s.draining {
		p.client.EndForRestart()
	}
}

func (s *Server) remove(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}

// Sockets is how many sockets are open, signed in or not.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers) + s.opening
}

// Dead is how many sockets were given up because nobody answered at the other end.
func (s *Server) Dead() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// all appends every socket to into, in random order, which a drain makes use of.
func (s *Server) all(into []*peer) []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(into, maps.Keys(s.peers))
}

func (s *Server) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	var peers []*peer
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.hub.Sweep()
		now := s.now()
		peers = s.all(peers[:0])
		for _, p := range peers {
			p.keep(now)
		}
		clear(peers)
	}
}

// Stop takes no new socket and closes those there are, in random order and spread over time, so that the clients do not all come to
// the next process at once. Until ctx ends it waits for each to have said good-bye; then it cuts off the rest.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	stop := s.stop
	s.mu.Unlock()
	peers := s.all(nil)
	spread(ctx, len(peers), func(i int) { peers[i].client.EndForRestart() })
	if stop != nil {
		stop()
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	left := s.all(nil)
	for _, p := range left {
		p.kill()
	}
	<-done
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("%d sockets cut off: %w", len(left), ctx.Err())
}

// spread calls do for 0 to n-1, paced over at most drainAtMost and half of what ctx has left.
func spread(ctx context.Context, n int, do func(int)) {
	over := min(time.Duration(n)*drainPace, drainAtMost)
	if deadline, ok := ctx.Deadline(); ok {
		over = min(over, time.Until(deadline)/2)
	}
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range n {
		if wait := time.Until(begin.Add(over * time.Duration(i) / time.Duration(n))); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		do(i)
	}
}
