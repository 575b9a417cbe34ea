// Package server puts the note service together and runs it. It is imported by main, by allinone and by the system test, and is the only
// package of the service that is.
package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"noteworks.dev/services/api/gen/user/v1/userv1connect"
	"noteworks.dev/services/internal/admin"
	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/program"
	kitrpc "noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/note/internal/listen"
	"noteworks.dev/services/note/internal/note"
	"noteworks.dev/services/note/internal/postgres"
	"noteworks.dev/services/note/internal/rest"
	"noteworks.dev/services/note/internal/rpc"
)

const name = "note"

// Server is the service. Its lifecycle is New, Start once, Stop.
type Server struct {
	cfg     Config
	tel     *telemetry.Telemetry
	db      *pg.DB
	bus     *event.Bus
	client  *http.Client
	keys    *auth.JWKS
	outbox  *outbox.Outbox
	people  *inbox.Inbox
	search  *inbox.Inbox
	sweeper *postgres.Sweeper
	public  *httpserver.Server
	inner   *httpserver.Server
	ops     *httpserver.Server
	waiting *program.Waiting
}

// Migrations is the schema of the service's database.
func Migrations() []fs.FS {
	return []fs.FS{outbox.Migrations, inbox.Migrations, postgres.Migrations}
}

// New puts the service together. It asks nobody anything: the database, NATS and the user service may be away.
func New(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	callers, err := kitrpc.NewCallers(cfg.Callers, cfg.Now)
	if err != nil {
		return nil, err
	}
	client, options := kitrpc.NewClient(cfg.User, tel)
	s := &Server{cfg: cfg, tel: tel, client: client, waiting: program.NewWaiting(tel.Log)}
	if s.db, err = pg.Open(ctx, cfg.Database, tel); err != nil {
		return nil, err
	}
	cfg.NATS.Name = name
	if s.bus, err = event.Connect(ctx, cfg.NATS, tel); err != nil {
		s.db.Close()
		return nil, err
	}
	s.outbox = outbox.New(s.db, s.bus, outbox.Config{Stream: event.StreamNote, Source: name}, tel)
	store := postgres.New(s.db, s.outbox)
	s.sweeper = postgres.NewSweeper(store, cfg.TrashRetention, cfg.Now, tel)
	s.listen()
	s.serve(store, rpc.NewDirectory(userv1connect.NewDirectoryServiceClient(client, cfg.User.URL, options...)), callers)
	return s, nil
}

// listen connects the consumers with the tables.
func (s *Server) listen() {
	s.people = inbox.New(s.db, s.bus, inbox.Config{Consumer: "note-people", Stream: event.StreamUser}, s.tel)
	listen.RegisterPeople(s.people,
		func(tx inbox.Tx) listen.People {
			pg.AfterCommit(tx.DB, s.sweeper.Wake) // it may have left a chore
			return postgres.PeopleIn(tx.DB, note.WorkspaceID(tx.Event.WorkspaceID))
		},
		func(tx inbox.Tx) listen.Workspaces {
			pg.AfterCommit(tx.DB, s.sweeper.Wake)
			return postgres.WorkspacesIn(tx.DB, note.WorkspaceID(tx.Event.WorkspaceID))
		},
		s.cfg.Now)
	s.search = inbox.New(s.db, s.bus, inbox.Config{Consumer: "note-search", Stream: event.StreamNote, Linger: searchLinger, Batch: searchBatch}, s.tel)
	listen.RegisterSearch(s.search, func(tx inbox.Tx) listen.Index {
		return postgres.IndexIn(tx.DB, note.WorkspaceID(tx.Event.WorkspaceID))
	})
}

// serve connects the doors with the use cases.
func (s *Server) serve(store *postgres.Store, directory note.Directory, callers kitrpc.CallerVerifier) {
	cfg := s.cfg
	s.keys = auth.NewJWKS(strings.TrimSuffix(cfg.User.URL, "/")+"/.well-known/jwks.json", s.client, cfg.Now)
	api := rest.API{
		Notes:     note.New(store, directory, cfg.Now, newID),
		Tokens:    auth.NewVerifier(s.keys, cfg.Now),
		Telemetry: s.tel,
	}
	s.public = httpserver.New(name+" http", cfg.HTTPAddr, api.Handler(), s.tel, httpserver.WithLinger(cfg.ShutdownLinger))

	inner := kitrpc.NewServer(callers, s.tel)
	rpc.MountUsage(inner, store, cfg.Now)
	admin.Mount(inner, admin.Events{Bus: s.bus, Outbox: s.outbox, Consumers: []string{s.people.Consumer(), s.search.Consumer()}}, s.tel)
	s.inner = httpserver.New(name+" rpc", cfg.RPCAddr, inner, s.tel, httpserver.WithH2C(), httpserver.WithLinger(cfg.ShutdownLinger))

	s.ops = httpserver.NewOps(cfg.OpsAddr, s.ready, s.tel)
}

// ready looks at the user service and at NATS only when the service is new: later, events wait without them, and people who are signed in go on. New, it
// can let nobody in before it has the keys of their tokens, and another replica may have them.
func (s *Server) ready(ctx context.Context) error {
	if err := s.waiting.Err(); err != nil {
		return err
	}
	return errors.Join(s.db.Ready(ctx), s.bus.Ready(), s.keys.Ready())
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
	for _, part := range []interface{ Start(context.Context) error }{s.keys, s.outbox, s.sweeper, s.people, s.search, s.inner, s.public} {
		if err := part.Start(ctx); err != nil {
			return err
		}
	}
	s.waiting.Over()
	s.tel.Log.InfoContext(ctx, "note service is up")
	return nil
}

// Stop goes in the order of least harm: not ready, no new requests, running ones to their end, no new events in, the last ones
// out, then what all of them stood on. It does all of it even when a part fails, within ctx.
func (s *Server) Stop(ctx context.Context) error {
	s.ops.Drain()
	s.public.Drain()
	s.inner.Drain()
	err := errors.Join(s.public.Stop(ctx), s.inner.Stop(ctx), s.keys.Stop(ctx), s.people.Stop(ctx), s.search.Stop(ctx), s.sweeper.Stop(ctx), s.outbox.Stop(ctx))
	s.client.CloseIdleConnections()
	s.bus.Close()
	s.db.Close()
	return errors.Join(err, s.ops.Stop(ctx))
}

// HTTPAddr is where the public API listens.
func (s *Server) HTTPAddr() string { return s.public.Addr() }

// RPCAddr is where the internal API listens.
func (s *Server) RPCAddr() string { return s.inner.Addr() }

// OpsAddr is where /livez, /readyz and /metrics are.
func (s *Server) OpsAddr() string { return s.ops.Addr() }

// newID is a UUIDv7: it sorts by time, which is kind to indexes.
func newID() (note.ID, error) {
	id, err := uuid.NewV7()
	return note.ID(id.String()), err
}

// Changes that come together are indexed together: searchLinger is how much later one may be found for that.
const (
	searchLinger = 200 * time.Millisecond
	searchBatch  = 256
)

// Program is the service as a command.
func Program() program.Program {
	return program.Program{
		Name: name, Is: "the service that knows what: notes, shares, revisions and search", Serve: Run,
		Commands: []program.Command{
			program.Migrate(name, Migrations()...),
		},
	}
}

// Run is the program: it serves until ctx ends, then stops within SHUTDOWN_GRACE.
func Run(ctx context.Context, lookup config.LookupFunc, logs io.Writer) error {
	return program.Serve(ctx, name, lookup, logs, New, func(c Config) time.Duration { return c.ShutdownGrace })
}
