// Package server composes user, note and gateway with an embedded NATS server and a private PostgreSQL into one process. It describes
// nothing a second time: each service is configured by the settings it would get from its environment, and started by its own server package.
package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"noteworks.dev/services/allinone/console"
	gatewayserver "noteworks.dev/services/gateway/server"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/embeddednats"
	"noteworks.dev/services/internal/embeddedpg"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/internal/telemetry"
	noteserver "noteworks.dev/services/note/server"
	userserver "noteworks.dev/services/user/server"
)

// stopPatience bounds a stop; Ctrl-C ends within it, whatever hangs.
const stopPatience = 10 * time.Second

// Server is the whole stack. Start it once; Stop ends what has started.
type Server struct {
	options  Options
	lookup   config.LookupFunc
	progress io.Writer
	logs     io.Writer

	secrets   *secrets
	addresses addresses
	nats      atomic.Pointer[embeddednats.Server]
	database  func(name, role, password string) string
	log       *slog.Logger
	stops     []stop // of what has started, in order
}

// startPatience bounds the start of each service. On a cluster they wait for what they need as long as it takes; here it was started a moment ago, and
// somebody is looking at the terminal.
const startPatience = 30 * time.Second

// stop ends one part.
type stop struct {
	what string
	do   func(context.Context) error
}

// New makes a stack that is not started. progress gets a line for each step, logs the log; lookup answers OTEL_* and LOG_* settings.
func New(o Options, lookup config.LookupFunc, progress, logs io.Writer) *Server {
	return &Server{options: o, lookup: lookup, progress: progress, logs: logs}
}

// Run starts the stack as args say, tells how to sign in, and stops it when ctx ends.
func Run(ctx context.Context, args []string, lookup config.LookupFunc, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	s := New(o, quietly(lookup), stdout, stderr)
	if err := s.Start(ctx); err != nil {
		if ctx.Err() != nil { // Ctrl-C while starting is no failure
			return nil
		}
		return err
	}
	s.welcome(stdout)
	<-ctx.Done()
	say(stdout, "\nstopping")
	within, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	return s.Stop(within)
}

// quietly logs warnings and worse unless LOG_LEVEL says otherwise: people who try it want to see the URL.
func quietly(lookup config.LookupFunc) config.LookupFunc {
	return func(key string) (string, bool) {
		v, ok := lookup(key)
		if key == "LOG_LEVEL" && v == "" {
			return "warn", true
		}
		return v, ok
	}
}

// Start returns when people can sign in. What had started is stopped again if it fails.
func (s *Server) Start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.takePlace, s.startPostgres, s.startNATS, s.startServices, s.letConsoleIn, s.applyWorkspaces,
	} {
		if err := step(ctx); err != nil {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
			defer cancel()
			return errors.Join(err, s.Stop(within))
		}
	}
	return nil
}

// Stop ends what has started, the last first, also when a part does not end well.
func (s *Server) Stop(ctx context.Context) error {
	var all []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		if err := s.stops[i].do(ctx); err != nil {
			all = append(all, fmt.Errorf("stop %s: %w", s.stops[i].what, err))
		}
	}
	s.stops = nil
	return errors.Join(all...)
}

func (s *Server) onStop(what string, do func(context.Context) error) {
	s.stops = append(s.stops, stop{what, do})
}

// URL is where the default workspace is.
func (s *Server) URL() string { return s.url(defaultSlug) }

func (s *Server) url(slug string) string {
	_, port, _ := net.SplitHostPort(s.addresses.gateway)
	if slug == defaultSlug {
		return "http://localhost:" + port
	}
	return "http://" + slug + ".localhost:" + port
}

// Owner returns the sign-in of a workspace's first owner.
func (s *Server) Owner(slug string) (email, password string) {
	r := s.secrets.Workspaces[slug]
	return r.Email, r.Password
}

// UserRPC and OperatorToken let a test stand where the operator stands.
func (s *Server) UserRPC() (url, operatorToken string) {
	return "http://" + s.addresses.userRPC, s.secrets.Callers["operator"]
}

// takePlace makes sure that nobody else uses the port or the data, before anything is started.
func (s *Server) takePlace(context.Context) error {
	s.addresses.gateway = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.Port))
	l, err := net.Listen("tcp", s.addresses.gateway)
	if err != nil {
		return fmt.Errorf("port %d is in use, perhaps by another Noteworks: stop it, or name another port (make up PORT=…): %w", s.options.Port, err)
	}
	s.addresses.gateway = l.Addr().String()
	defer func() { _ = l.Close() }()
	a := &s.addresses
	if err := freeAddresses(&a.userHTTP, &a.userRPC, &a.noteHTTP, &a.noteRPC); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.options.Web, "index.html")); err != nil {
		return fmt.Errorf("the web app is not built in %s (make up builds it): %w", s.options.Web, err)
	}
	file, err := lock(s.options.Data)
	if err != nil {
		return err
	}
	s.onStop("the lock", func(context.Context) error { return file.Close() })
	s.secrets, err = loadSecrets(s.options.Data, s.options.Workspaces)
	if err != nil {
		return err
	}
	tel, err := telemetry.New(context.Background(), "allinone", environment(nil, s.lookup), s.logs)
	if err != nil {
		return err
	}
	s.onStop("telemetry", tel.Shutdown)
	s.log = tel.Log
	return nil
}

func (s *Server) startServices(ctx context.Context) error {
	say(s.progress, "starting the services")
	launch := s.options.Launch
	if launch == nil {
		launch = s.inThisProcess
	}
	bounded := func(e environmentOf) (func(context.Context) error, error) {
		ctx, cancel := context.WithTimeout(ctx, startPatience)
		defer cancel()
		return launch(ctx, e.service, e.settings)
	}
	for _, e := range settle(s.addresses, s.nats.Load().URL(), s.database, s.secrets, s.options.Web) {
		end, err := bounded(e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.service, err)
		}
		s.onStop(e.service, end)
	}
	return nil
}

// letConsoleIn tells the console how to reach the services, as long as they run.
func (s *Server) letConsoleIn(context.Context) error {
	s.onStop("the console's access", func(context.Context) error { return console.Revoke(s.options.Data) })
	return console.Grant(s.options.Data, console.Access{
		Token:    s.secrets.Callers["admin"],
		Services: map[string]string{"user": "http://" + s.addresses.userRPC, "note": "http://" + s.addresses.noteRPC},
	})
}

// inThisProcess is the Launch of the program: it starts the service's own server package.
func (s *Server) inThisProcess(ctx context.Context, service string, settings map[string]string) (func(context.Context) error, error) {
	lookup := environment(settings, s.lookup)
	switch service {
	case "user":
		return program.Start(ctx, service, lookup, s.logs, func(ctx context.Context, cfg userserver.Config, tel *telemetry.Telemetry) (*userserver.Server, error) {
			cfg.NATS.InProcess = s
			return userserver.New(ctx, cfg, tel)
		})
	case "note":
		return program.Start(ctx, service, lookup, s.logs, func(ctx context.Context, cfg noteserver.Config, tel *telemetry.Telemetry) (*noteserver.Server, error) {
			cfg.NATS.InProcess = s
			return noteserver.New(ctx, cfg, tel)
		})
	default:
		return program.Start(ctx, service, lookup, s.logs, func(ctx context.Context, cfg gatewayserver.Config, tel *telemetry.Telemetry) (*gatewayserver.Server, error) {
			cfg.NATS.InProcess = s
			return gatewayserver.New(ctx, cfg, tel)
		})
	}
}

// InProcessConn connects a service of this process to the embedded NATS server of the moment.
func (s *Server) InProcessConn() (net.Conn, error) { return s.nats.Load().InProcessConn() }

func (s *Server) startPostgres(ctx context.Context) error {
	say(s.progress, "starting PostgreSQL")
	pg, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: filepath.Join(s.options.Data, "postgres"), Log: s.log})
	if err != nil {
		return err
	}
	s.onStop("PostgreSQL", pg.Stop)
	s.database = pg.URL
	for role, password := range s.secrets.Database {
		if err := pg.EnsureRole(ctx, role, password); err != nil {
			return err
		}
	}
	if err := pg.EnsureDatabase(ctx, "users", "user_owner", "user_app"); err != nil {
		return err
	}
	return pg.EnsureDatabase(ctx, "notes", "note_owner", "note_app")
}

func (s *Server) startNATS(ctx context.Context) error {
	say(s.progress, "starting NATS")
	s.onStop("NATS", s.StopNATS)
	return s.StartNATS(ctx)
}

// NATSDir is where the embedded NATS server keeps its streams.
func (s *Server) NATSDir() string { return filepath.Join(s.options.Data, "nats") }

// StartNATS starts the embedded NATS server, where it was before if it was started before. Start does so; tests take it away and bring it back.
func (s *Server) StartNATS(ctx context.Context) error {
	cfg := embeddednats.Config{Dir: s.NATSDir(), Log: s.log}
	if before := s.nats.Load(); before != nil {
		cfg.Port = before.Port()
	}
	for name, password := range s.secrets.NATS {
		rights, err := event.RightsOf(name)
		if err != nil {
			return err
		}
		cfg.Users = append(cfg.Users, embeddednats.User{Name: name, Password: password, Rights: &rights})
	}
	started, err := embeddednats.Start(ctx, cfg)
	if err != nil {
		return err
	}
	s.nats.Store(started)
	return nil
}

// StopNATS takes the embedded NATS server away.
func (s *Server) StopNATS(ctx context.Context) error {
	if running := s.nats.Load(); running != nil {
		return running.Stop(ctx)
	}
	return nil
}

// say prints a line for the person who waits; there is nothing to do if nobody reads it.
func say(w io.Writer, line string) { _, _ = fmt.Fprintln(w, line) }
