package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"noteworks.dev/services/internal/embeddedpg"
)

// EnvURL names a running server by its superuser's URL, so that many test processes share it.
const EnvURL = "NOTEWORKS_TEST_POSTGRES"

// shared is the one global of the package: a server per process is the point of it.
//
//nolint:gochecknoglobals // see above
var shared = sync.OnceValues(findOrStart)

func sharedServer(t testing.TB) *cluster {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("PostgreSQL for the tests: %v", err)
	}
	return c
}

func findOrStart() (*cluster, error) {
	if url := os.Getenv(EnvURL); url != "" {
		return &cluster{adminURL: url}, nil
	}
	server, dir, err := startTemporary(context.Background()) // no test owns it: it ends with the process
	if err != nil {
		return nil, err
	}
	alive, err := removeAfterExit(dir, server.DataDir(), server.SocketDir())
	return &cluster{adminURL: server.AdminURL(), alive: alive}, err
}

// removeAfterExit leaves a shell behind that waits for the end of this process, however it ends, and removes the directories. What it returns
// must stay reachable: once it is collected, its end looks like this process's.
func removeAfterExit(dirs ...string) (io.Closer, error) {
	const script = `cat >/dev/null; for try in 1 2 3 4 5 6 7 8 9; do rm -rf "$@" 2>/dev/null && exit; sleep 0.3; done`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, dirs...)...) //nolint:noctx // it outlives every context on purpose
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("clean-up of the test server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("clean-up of the test server: %w", err)
	}
	return alive, nil
}

// startTemporary starts a server in a new directory, which goes when the server has been stopped (stopAndRemove).
func startTemporary(ctx context.Context) (*embeddedpg.Server, string, error) {
	dir, err := openTempDir()
	if err != nil {
		return nil, "", err
	}
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: dir + "/data", Settings: embeddedpg.ForTests()})
	if err != nil {
		return nil, "", errors.Join(err, os.RemoveAll(dir))
	}
	return server, dir, nil
}

// openTempDir makes a directory that the account PostgreSQL runs as can walk through.
func openTempDir() (string, error) {
	dir, err := os.MkdirTemp(fastDir(), "noteworks-test-")
	if err != nil {
		return "", fmt.Errorf("directory for the test server: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// fastDir is Linux's directory in memory when it has room enough, else "" for the usual one. A database is 300 files: cloning it takes 20 ms in
// memory and 200 ms on a disk.
func fastDir() string {
	const (
		memory = "/dev/shm"
		enough = 4 << 30
	)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < enough {
		return ""
	}
	return memory
}

func stopAndRemove(server *embeddedpg.Server, dir string) error {
	ctx, cancel := background()
	defer cancel()
	return errors.Join(server.Stop(ctx), os.RemoveAll(server.DataDir()), os.RemoveAll(dir))
}

// Run starts a server, calls do with its superuser's URL, and cleans up. It is what pgtest/run does around a command.
func Run(ctx context.Context, do func(url string) error) error {
	server, dir, err := startTemporary(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(server.AdminURL()), stopAndRemove(server, dir))
}
