// Package embeddednats runs a NATS server with JetStream inside this process, on the loopback interface. It promises: each user may do what
// its rights say and nobody else anything; what it stored is there after a restart on the same directory; its log goes to slog, quietly.
package embeddednats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"noteworks.dev/services/internal/event"
)

// User may connect with its password. Nil rights mean all.
type User struct {
	Name, Password string
	Rights         *event.Rights
}

// Config of a server.
type Config struct {
	// Dir is where JetStream keeps its files.
	Dir string
	// Port on 127.0.0.1, 0 for any that is free.
	Port  int
	Users []User
	// SyncInterval is how often files are flushed to the disk, 0 for 10 s: outboxes fill again what a crash takes, so it need not be always.
	SyncInterval time.Duration
	Log          *slog.Logger
}

const (
	defaultSync = 10 * time.Second
	startWithin = 10 * time.Second
	maxPayload  = 1 << 20
	maxMemory   = 64 << 20 // for consumers that live in memory
	maxStore    = 1 << 42  // streams bound themselves, and what the disk can not take is refused loudly
)

// Server is a running server.
type Server struct {
	cfg  Config
	nats *server.Server
	port int
	stop sync.Once
}

// Start starts a server and returns when it takes connections.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.SyncInterval <= 0 {
		cfg.SyncInterval = defaultSync
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := server.NewServer(options(cfg))
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	log := &logger{log: cfg.Log, fatal: make(chan string, 1)}
	s.SetLoggerV2(log, false, false, false)
	go s.Start()
	if err := ready(ctx, s, log.fatal); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("embedded NATS in %s: %w", cfg.Dir, err)
	}
	return &Server{cfg: cfg, nats: s, port: portOf(s)}, nil
}

func options(cfg Config) *server.Options {
	opts := &server.Options{
		ServerName:            "noteworks",
		Host:                  "127.0.0.1",
		Port:                  cfg.Port,
		NoSigs:                true,
		JetStream:             true,
		StoreDir:              cfg.Dir,
		SyncInterval:          cfg.SyncInterval,
		JetStreamMaxMemory:    maxMemory,
		JetStreamMaxStore:     maxStore,
		MaxPayload:            maxPayload,
		MaxPending:            16 << 20,
		PingInterval:          10 * time.Second,
		DisableShortFirstPing: true,
	}
	if cfg.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	for _, u := range cfg.Users {
		opts.Users = append(opts.Users, &server.User{Username: u.Name, Password: u.Password, Permissions: permissions(u.Rights)})
	}
	return opts
}

func permissions(r *event.Rights) *server.Permissions {
	if r == nil {
		return nil
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: r.Publish},
		Subscribe: &server.SubjectPermission{Allow: r.Subscribe},
	}
}

// ready waits until clients can connect, or the server says why they can not.
func ready(ctx context.Context, s *server.Server, fatal <-chan string) error {
	up := make(chan bool, 1)
	go func() { up <- s.ReadyForConnections(startWithin) }()
	select {
	case ok := <-up:
		if ok {
			return nil
		}
		return errors.New("not ready in time")
	case why := <-fatal:
		return errors.New(why)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func portOf(s *server.Server) int {
	if u, err := url.Parse(s.ClientURL()); err == nil {
		var port int
		if _, err := fmt.Sscan(u.Port(), &port); err == nil {
			return port
		}
	}
	return 0
}

// URL is where clients connect. It has no credentials in it.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.port) }

// InProcessConn connects a client of this process without the network: see event.Config. After Stop it fails.
func (s *Server) InProcessConn() (net.Conn, error) { return s.nats.InProcessConn() }

// Port is the port it listens on.
func (s *Server) Port() int { return s.port }

// Stop closes all connections, writes what is to be kept, and ends. It may be called again. When ctx ends before, the server goes on ending
// by itself.
func (s *Server) Stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop.Do(s.nats.Shutdown)
		s.nats.WaitForShutdown()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("embedded NATS: stop: %w", ctx.Err())
	}
}

// logger turns the server's lines into slog's. What it calls an error is a client's or the disk's, and a warning here: the service that
// is hit by it says so itself.
type logger struct {
	log   *slog.Logger
	fatal chan string
}

func (l *logger) line(level slog.Level, format string, args []any) {
	l.log.Log(context.Background(), level, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l *logger) Noticef(format string, args ...any) { l.line(slog.LevelDebug, format, args) }
func (l *logger) Warnf(format string, args ...any)   { l.line(warnLevel(format), format, args) }
func (l *logger) Errorf(format string, args ...any)  { l.line(slog.LevelWarn, format, args) }
func (l *logger) Debugf(format string, args ...any)  { l.line(slog.LevelDebug, format, args) }
func (l *logger) Tracef(string, ...any)              {}

// warnLevel quiets the one warning that is always there: passwords are in this process's memory only, so hashing them hides them from nobody.
func warnLevel(format string) slog.Level {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// Fatalf is called when the server can not start.
func (l *logger) Fatalf(format string, args ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, args...):
	default:
	}
}
