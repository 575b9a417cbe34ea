package embeddedpg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"noteworks.dev/services/internal/embeddedpg"
)

func TestDataSurvivesAKill(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t))
	conn := connect(t, s.AdminURL())
	mustExec(t, conn, "create table kept (n int)")
	mustExec(t, conn, "insert into kept values (1), (2)")
	url := s.AdminURL()

	s.Kill()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}

	if s.AdminURL() != url {
		t.Error("the URL changed over a restart")
	}
	if n := count(t, connect(t, url), "select count(*) from kept"); n != 2 {
		t.Errorf("%d rows after the kill, want 2", n)
	}
}

// The directory is one that only its owner can walk into. For root the data therefore lies elsewhere, and is found again.
func TestDataSurvivesAStop(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, dir)
	t.Cleanup(func() { _ = os.RemoveAll(first.DataDir()) })
	mustExec(t, connect(t, first.AdminURL()), "create table kept (n int)")
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir)
	if n := count(t, connect(t, second.AdminURL()), "select count(*) from kept"); n != 0 {
		t.Errorf("%d rows, want the empty table", n)
	}
}

func TestSecondStartOnTheSameDataIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := start(t, dir)
	began := time.Now()
	_, err := embeddedpg.Start(t.Context(), embeddedpg.Config{DataDir: dir})
	if !errors.Is(err, embeddedpg.ErrInUse) {
		t.Fatalf("second start: %v, want ErrInUse", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the refusal took %v", took)
	}
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("%q does not name the directory", err)
	}
	if n := count(t, connect(t, first.AdminURL()), "select 1"); n != 1 {
		t.Error("the first server suffered")
	}
}

func TestAStartThatFailsShowsTheServersWords(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	_, err := embeddedpg.Start(t.Context(), embeddedpg.Config{DataDir: dir, Settings: map[string]string{"shared_buffers": "nonsense"}})
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Fatalf("error %v does not tell what is wrong", err)
	}
	start(t, dir) // the lock is free again, and the cluster is whole
}

func TestAHalfMadeClusterIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "cluster.new", "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	if n := count(t, connect(t, s.AdminURL()), "select 1"); n != 1 {
		t.Error("no answer")
	}
}

func TestPasswordAndSocketArePrivate(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t))
	for path, want := range map[string]os.FileMode{
		filepath.Join(s.DataDir(), "superuser"): 0o600,
		s.DataDir():                             0o700,
		s.SocketDir():                           0o700,
		s.LogFile():                             0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	var listen string
	if err := connect(t, s.AdminURL()).QueryRow(t.Context(), "show listen_addresses").Scan(&listen); err != nil || listen != "" {
		t.Errorf("it listens on %q (%v), want no TCP", listen, err)
	}
	if _, err := pgx.Connect(t.Context(), s.URL("postgres", "postgres", "wrong")); err == nil {
		t.Error("a wrong password was accepted")
	}
	if len(s.SocketDir()) > 80 {
		t.Errorf("the socket's directory %s leaves no room in a Unix socket's path", s.SocketDir())
	}
}

//nolint:paralleltest // it compares goroutines before and after
func TestStopMayBeCalledByManyAtOnce(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s, err := embeddedpg.Start(t.Context(), embeddedpg.Config{DataDir: dataDir(t), Settings: embeddedpg.ForTests()})
	if err != nil {
		t.Fatal(err)
	}
	done := s.Done()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	<-done
	if err := s.Restart(t.Context()); err == nil {
		t.Error("a stopped server came back")
	}
	if _, err := os.Stat(s.SocketDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's directory is left behind (%v)", err)
	}
	goleak.VerifyNone(t, before)
}

func TestStopWithoutTimeKills(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t))
	s.Freeze()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("stop of a hanging server without time: %v", err)
	}
	s.Thaw() // of what is gone: nothing happens
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(10 * time.Second); ; {
		left := workingIn(t, s.DataDir())
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("these processes are left: %v", left)
		}
	}
}

// workingIn lists the processes that work in dir or below, where the system can tell.
func workingIn(t *testing.T, dir string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range all {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, dir) {
			pids = append(pids, filepath.Base(filepath.Dir(link)))
		}
	}
	return pids
}

func TestTrigramsSeeChinese(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t))
	conn := connect(t, s.AdminURL())
	mustExec(t, conn, "create extension pg_trgm")
	if n := count(t, conn, "select cardinality(show_trgm('中文笔记'))"); n == 0 {
		t.Fatal("pg_trgm sees no letters in Chinese text: LC_CTYPE is not a UTF-8 one")
	}
}

// dataDir is a place for data that whoever PostgreSQL runs as can reach.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "noteworks-embeddedpg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func start(t *testing.T, dir string) *embeddedpg.Server {
	t.Helper()
	s, err := embeddedpg.Start(t.Context(), embeddedpg.Config{DataDir: dir, Settings: embeddedpg.ForTests()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t *testing.T, conn *pgx.Conn, sql string) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
