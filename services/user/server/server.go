// Package server puts the user service together and runs it. It is imported by main, by allinone and by the system test, and is the only
// package of the service that is.
package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"noteworks.dev/services/internal/admin"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/program"
	kitrpc "noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/internal/accesstoken"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/argon2id"
	"noteworks.dev/services/user/internal/keyring"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/postgres"
	"noteworks.dev/services/user/internal/ratelimit"
	"noteworks.dev/services/user/internal/rest"
	"noteworks.dev/services/user/internal/rpc"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/workspace"
)

const name = "user"

// Server is the service. Its lifecycle is New, Start once, Stop.
type Server struct {
	cfg     Config
	tel     *telemetry.Telemetry
	db      *pg.DB
	bus     *event.Bus
	outbox  *outbox.Outbox
	keys    *keyring.Keyring
	public  *httpserver.Server
	inner   *httpserver.Server
	ops     *httpserver.Server
	waiting *program.Waiting
}

// Migrations is the schema of the service's database.
func Migrations() []fs.FS { return []fs.FS{outbox.Migrations, postgres.Migrations()} }

// New puts the service together. It asks nobody anything: the database and NATS may be away.
func New(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*Server, error) {
	cfg.Now = precise(cfg.Now)
	callers, err := kitrpc.NewCallers(cfg.Callers, cfg.Now)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, tel: tel, waiting: program.NewWaiting(tel.Log)}
	if s.db, err = pg.Open(ctx, cfg.Database, tel); err != nil {
		return nil, err
	}
	cfg.NATS.Name = name
	if s.bus, err = event.Connect(ctx, cfg.NATS, tel); err != nil {
		s.db.Close()
		return nil, err
	}
	s.outbox = outbox.New(s.db, s.bus, outbox.Config{Stream: event.StreamUser, Source: name}, tel)
	s.build(callers)
	return s, nil
}

// build connects the parts that do not fail.
func (s *Server) build(callers kitrpc.CallerVerifier) {
	cfg := s.cfg
	store := postgres.New(s.db, s.outbox)
	s.keys = keyring.New(store, cfg.keys(), cfg.Now, s.tel.Log)
	hasher := argon2id.New(argon2id.Default(), cfg.hashing())
	people := person.NewPeople(store, hasher)
	sessions := session.NewSessions(store, hasher, accesstoken.NewSigner(s.keys, cfg.AccessTokenLife, cfg.Now), session.Config{
		Lifetimes: cfg.lifetimes(), Now: cfg.Now, NewID: newID,
	})
	workspaces := workspace.NewWorkspaces(store, hasher, s.meter(), workspace.Config{Now: cfg.Now, NewID: newID, Base: cfg.BaseDomain})

	invitations := admission.NewInvitations(store, admission.Config{Now: cfg.Now, NewID: newID})

	api := rest.API{
		Sessions: sessions, People: people, Invitations: invitations, Workspaces: workspaces, Telemetry: s.tel, TrustedProxies: cfg.TrustedProxies,
		Tokens:    auth.NewVerifier(accesstoken.Keys{Keyring: s.keys}, cfg.Now),
		ByAddress: ratelimit.New(cfg.AddressPerMinute, cfg.AddressBurst, cfg.Now),
		ByAccount: ratelimit.New(cfg.AccountPerMinute, cfg.AccountBurst, cfg.Now),
	}
	s.public = httpserver.New(name+" http", cfg.HTTPAddr, api.Handler(), s.tel, httpserver.WithLinger(cfg.ShutdownLinger))

	inner := kitrpc.NewServer(callers, s.tel)
	rpc.Mount(inner, workspaces, people, s.tel)
	admin.Mount(inner, admin.Events{Bus: s.bus, Outbox: s.outbox}, s.tel)
	inner.Handle("GET /.well-known/jwks.json", accesstoken.JWKS(s.keys))
	s.inner = httpserver.New(name+" rpc", cfg.RPCAddr, inner, s.tel, httpserver.WithH2C(), httpserver.WithLinger(cfg.ShutdownLinger))

	s.ops = httpserver.NewOps(cfg.OpsAddr, s.ready, s.tel)
}

func (s *Server) meter() workspace.Meter {
	if s.cfg.NoteURL == "" {
		return nil
	}
	return rpc.NewMeter(s.cfg.note(), s.tel)
}

// ready looks at NATS only when the service is new: later, events wait in the outbox without it and everything else works.
func (s *Server) ready(ctx context.Context) error {
	if err := s.waiting.Err(); err != nil {
		return err
	}
	return errors.Join(s.db.Ready(ctx), s.bus.Ready())
}

// Start migrates when there is an owner's URL to do it with, and serves when the database is there with the schema this version needs. Until then it
// answers on the operations port only, and waits as long as ctx lives. On an error everything is stopped again.
func (s *Server) Start(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownGrace)
		defer cancel()
		return errors.Join(err, s.Stop(stopping))
	}
	return nil
}

func (s *Server) start(ctx context.Context) error {
	if err := s.ops.Start(ctx); err != nil {
		return err
	}
	if s.cfg.Database.MigrateURL != "" {
		if err := pg.MigrateWhenThere(ctx, s.cfg.Database, s.waiting.For, Migrations()...); err != nil {
			return err
		}
	}
	if err := s.db.Await(ctx, s.waiting.For, Migrations()...); err != nil {
		return err
	}
	for _, part := range []interface{ Start(context.Context) error }{s.outbox, s.keys, s.inner, s.public} {
		if err := part.Start(ctx); err != nil {
			return err
		}
	}
	s.waiting.Over()
	s.tel.Log.InfoContext(ctx, "user service is up")
	return nil
}

// Stop goes in the order of least harm: not ready, no new requests, running ones to their end, the last events out, then what all
// of them stood on. It does all of it even when a part fails, within ctx.
func (s *Server) Stop(ctx context.Context) error {
	s.ops.Drain()
	s.public.Drain()
	s.inner.Drain()
	err := errors.Join(s.public.Stop(ctx), s.inner.Stop(ctx), s.keys.Stop(ctx), s.outbox.Stop(ctx))
	s.bus.Close()
	s.db.Close()
	return errors.Join(err, s.ops.Stop(ctx))
}

// RotateKeys publishes a new signing key now; it signs after SIGNING_KEY_LEAD.
func (s *Server) RotateKeys(ctx context.Context) error { return s.keys.Rotate(ctx) }

// HTTPAddr is where the public API listens.
func (s *Server) HTTPAddr() string { return s.public.Addr() }

// RPCAddr is where the internal API listens.
func (s *Server) RPCAddr() string { return s.inner.Addr() }

// OpsAddr is where /livez, /readyz and /metrics are.
func (s *Server) OpsAddr() string { return s.ops.Addr() }

// precise is the clock as the database keeps its times, so that what was saved and what is read are the same.
func precise(now func() time.Time) func() time.Time {
	if now == nil {
		now = time.Now
	}
	return func() time.Time { return now().UTC().Truncate(time.Microsecond) }
}

// newID is a UUIDv7: it sorts by time, which is kind to indexes.
func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// Program is the service as a command.
func Program() program.Program {
	return program.Program{
		Name: name, Is: "the service that knows who: workspaces, people, credentials, sessions and tokens", Serve: Run,
		Commands: []program.Command{
			program.Migrate(name, Migrations()...),
			applyWorkspaces(),
		},
	}
}

// Run is the program: it serves until ctx ends, then stops within SHUTDOWN_GRACE.
func Run(ctx context.Context, lookup config.LookupFunc, logs io.Writer) error {
	return program.Serve(ctx, name, lookup, logs, New, func(c Config) time.Duration { return c.ShutdownGrace })
}
