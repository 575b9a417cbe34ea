// Package server puts the gateway together and runs it. It is imported by main, by allinone and by the system test, and is the only
// package of the service that is.
package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"noteworks.dev/services/gateway/internal/edge"
	"noteworks.dev/services/gateway/internal/listen"
	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/proxy"
	"noteworks.dev/services/gateway/internal/quota"
	"noteworks.dev/services/gateway/internal/socket"
	"noteworks.dev/services/gateway/internal/tenant"
	"noteworks.dev/services/gateway/internal/web"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/balance"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/internal/telemetry"
)

const name = "gateway"

// Server is the gateway. Its lifecycle is New, Start once, Stop.
type Server struct {
	cfg Config
	tel *telemetry.Telemetry

	bus        *event.Bus
	hub        *live.Hub
	listener   *listen.Listener
	workspaces *tenant.Directory
	quota      *quota.Quota
	sockets    *socket.Server
	site       *web.Site
	upstreams  []*balance.Transport
	issuer     *http.Client
	keys       *auth.JWKS
	public     *httpserver.Server
	ops        *httpserver.Server
	serving    atomic.Bool
}

// New puts the gateway together. It asks nobody anything: the services and NATS may be away.
func New(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, tel: tel, hub: live.NewHub(live.Limits{}, cfg.Now), quota: quota.New(cfg.Now)}
	user, err := s.upstream("user", cfg.UserHTTPURL)
	if err != nil {
		return nil, err
	}
	note, err := s.upstream("note", cfg.NoteHTTPURL)
	if err != nil {
		return nil, err
	}
	if s.site, err = web.Open(cfg.WebDir); err != nil {
		return nil, err
	}
	cfg.NATS.Name = name
	if s.bus, err = event.Connect(ctx, cfg.NATS, tel); err != nil {
		return nil, errors.Join(err, s.site.Close())
	}
	s.workspaces = tenant.New(cfg.UserHTTPURL, user, cfg.Now)
	s.listener = listen.New(s.bus, s.hub, s.workspaces, tel)
	s.build(map[proxy.Upstream]http.RoundTripper{proxy.User: user, proxy.Note: note})
	if err := s.observe(); err != nil {
		s.bus.Close()
		return nil, errors.Join(err, s.site.Close())
	}
	return s, nil
}

func (s *Server) upstream(service, url string) (http.RoundTripper, error) {
	t, err := balance.New(service, url, s.tel)
	if err != nil {
		return nil, err
	}
	s.upstreams = append(s.upstreams, t)
	return proxy.Traced(t, s.tel), nil
}

// build connects the parts that do not fail.
func (s *Server) build(upstreams map[proxy.Upstream]http.RoundTripper) {
	s.issuer = &http.Client{Transport: &http.Transport{IdleConnTimeout: time.Minute}}
	s.keys = auth.NewJWKS(strings.TrimSuffix(s.cfg.UserRPCURL, "/")+"/.well-known/jwks.json", s.issuer, s.cfg.Now)
	door := &edge.Door{
		Workspaces: s.workspaces,
		Verifier:   auth.NewVerifier(s.keys, s.cfg.Now),
		Endings:    s.hub.Endings(),
		Quota:      s.quota,
		API:        proxy.New(upstreams, s.cfg.TrustedProxies),
		Site:       s.site,
		Trusted:    s.cfg.TrustedProxies,
	}
	s.sockets = socket.NewServer(s.cfg.Live, s.hub, door.Verify, door.Enter, s.tel, s.cfg.Now)
	door.Live = s.sockets

	handler := edge.Untraced(httpserver.Instrument(httpserver.AccessLog(door, s.tel), s.tel, nil, httpserver.PublicDoor()))
	s.public = httpserver.New(name+" http", s.cfg.HTTPAddr, handler, s.tel,
		httpserver.WithRequestTimeout(s.cfg.RequestTimeout),
		httpserver.WithLinger(s.cfg.ShutdownLinger),
		httpserver.WithLongLived(func(r *http.Request) bool { return r.URL.Path == edge.LivePath }))
	s.ops = httpserver.NewOps(s.cfg.OpsAddr, s.ready, s.tel)
}

// ready looks at NATS when the gateway is new, and at nothing else outside: a gateway whose services are away still says so better than no gateway.
func (s *Server) ready(context.Context) error {
	if !s.serving.Load() {
		return errors.New("still starting")
	}
	return s.bus.Ready()
}

// Start serves. On an error everything is stopped again.
func (s *Server) Start(ctx context.Context) error {
	for _, part := range []interface{ Start(context.Context) error }{s.ops, s.keys, s.listener, s.sockets, s.public} {
		if err := part.Start(ctx); err != nil {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownGrace)
			defer cancel()
			return errors.Join(err, s.Stop(stopping))
		}
	}
	s.serving.Store(true)
	s.tel.Log.InfoContext(ctx, "gateway is up")
	return nil
}

// Stop goes in the order of least harm: not ready, good-bye to the sockets one after the other while requests are still answered, then the
// running requests, then the tail and the rest. It does all of it even when a part fails, within ctx.
func (s *Server) Stop(ctx context.Context) error {
	s.ops.Drain()
	s.public.Drain()
	err := errors.Join(s.sockets.Stop(ctx), s.public.Stop(ctx), s.keys.Stop(ctx), s.listener.Stop(ctx))
	s.bus.Close()
	s.workspaces.Close()
	for _, t := range s.upstreams {
		t.CloseIdleConnections()
	}
	s.issuer.CloseIdleConnections()
	return errors.Join(err, s.site.Close(), s.ops.Stop(ctx))
}

// HTTPAddr is where the public port listens.
func (s *Server) HTTPAddr() string { return s.public.Addr() }

// OpsAddr is where /livez, /readyz and /metrics are.
func (s *Server) OpsAddr() string { return s.ops.Addr() }

// Program is the service as a command.
func Program() program.Program {
	return program.Program{
		Name: name, Is: "the public door: the web app, the API and live updates", Serve: Run,
	}
}

// Run is the program: it serves until ctx ends, then stops within SHUTDOWN_GRACE.
func Run(ctx context.Context, lookup config.LookupFunc, logs io.Writer) error {
	return program.Serve(ctx, name, lookup, logs, New, func(c Config) time.Duration { return c.ShutdownGrace })
}
