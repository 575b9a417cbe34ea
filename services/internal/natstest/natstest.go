// Package natstest gives each test a NATS server of its own, which it may stop, restart, wipe, damage and edit by hand.
//
// Test-only. Imports testing, embeddednats, event and nats.go.
package natstest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/embeddednats"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

const (
	// Password is every user's.
	Password = "test"
	admin    = "admin"
	// patience is for waits that only a bug makes long.
	patience = 20 * time.Second
)

// Server is one test's server. Its methods are for one goroutine.
type Server struct {
	// URL stays the same over restarts.
	URL string

	dir  string
	port int
	run  *embeddednats.Server
}

// Start starts a server with the users and rights of production. It ends with t.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{dir: t.TempDir()}
	s.Up(t)
	t.Cleanup(func() { s.Down(t) })
	return s
}

// Up starts the server after Down, with the files that are there.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	run, err := embeddednats.Start(context.Background(), embeddednats.Config{Dir: s.dir, Port: s.port, Users: users(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.run, s.port, s.URL = run, run.Port(), run.URL()
}

// Down stops the server and keeps its files. Without a server it does nothing.
func (s *Server) Down(t testing.TB) {
	t.Helper()
	if s.run == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.run.Stop(ctx); err != nil {
		t.Error(err)
	}
	s.run = nil
}

// Restart is Down and Up.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Down(t)
	s.Up(t)
}

// Wipe restarts the server without anything it had stored.
func (s *Server) Wipe(t testing.TB) {
	t.Helper()
	s.Down(t)
	s.remove(t)
	s.Up(t)
}

func (s *Server) remove(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
}

// Snapshot copies the server's files as they are at this moment, under a running server torn like after a power cut.
func (s *Server) Snapshot(t testing.TB) (dir string) {
	t.Helper()
	var err error
	for range 20 { // a file may go while it is copied
		dir = filepath.Join(t.TempDir(), "snapshot")
		if err = os.CopyFS(dir, os.DirFS(s.dir)); err == nil {
			return dir
		}
	}
	t.Fatal(err)
	return ""
}

// Rollback restarts the server with the files of a snapshot: all that it stored since is lost.
func (s *Server) Rollback(t testing.TB, snapshot string) {
	t.Helper()
	s.Down(t)
	s.remove(t)
	if err := os.CopyFS(s.dir, os.DirFS(snapshot)); err != nil {
		t.Fatal(err)
	}
	s.Up(t)
}

// SnapshotConsumers restarts the server and copies the places of a stream's consumers on the way: for RestoreConsumers.
func (s *Server) SnapshotConsumers(t testing.TB, stream string) (dir string) {
	t.Helper()
	s.Down(t)
	dir = filepath.Join(t.TempDir(), "consumers")
	if err := os.CopyFS(dir, os.DirFS(s.consumerDir(t, stream))); err != nil {
		t.Fatal(err)
	}
	s.Up(t)
	return dir
}

// RestoreConsumers restarts the server with the places of SnapshotConsumers, whatever stands in the stream by now.
func (s *Server) RestoreConsumers(t testing.TB, stream, snapshot string) {
	t.Helper()
	s.Down(t)
	dir := s.consumerDir(t, stream)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(snapshot)); err != nil {
		t.Fatal(err)
	}
	s.Up(t)
}

// Truncate restarts the server with the last message file of a stream cut to a share of its length, and without the index that knows better.
func (s *Server) Truncate(t testing.TB, stream string, share float64) {
	t.Helper()
	s.Down(t)
	last := s.messageFiles(t, stream)
	file := last[len(last)-1]
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, int64(float64(info.Size())*share)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(file), "index.db")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	s.Up(t)
}

func (s *Server) messageFiles(t testing.TB, stream string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".blk" && filepath.Base(filepath.Dir(filepath.Dir(path))) == stream {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("stream %s has no files", stream)
	}
	return files
}

func (s *Server) consumerDir(t testing.TB, stream string) string {
	t.Helper()
	messages := filepath.Dir(s.messageFiles(t, stream)[0])
	return filepath.Join(filepath.Dir(messages), "obs")
}

func users(t testing.TB) []embeddednats.User {
	t.Helper()
	all := []embeddednats.User{{Name: admin, Password: Password}}
	for _, service := range []string{"user", "note", "gateway"} {
		rights, err := event.RightsOf(service)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, embeddednats.User{Name: service, Password: Password, Rights: &rights})
	}
	return all
}

// Config is how a service connects.
func (s *Server) Config(service string) event.Config {
	return event.Config{URL: s.URL, User: service, Password: config.Secret(Password), Name: service}
}

// Bus connects as a service, with that service's rights. It closes with t.
func (s *Server) Bus(t testing.TB, service string, tel *telemetry.Telemetry) *event.Bus {
	t.Helper()
	bus, err := event.Connect(t.Context(), s.Config(service), tel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return bus
}

// Admin is JetStream as somebody with all rights sees it, to break things by hand. It ends with t.
func (s *Server) Admin(t testing.TB) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.URL, nats.UserInfo(admin, Password), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
