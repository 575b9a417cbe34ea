package embeddedpg_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/embeddedpg"
)

// envChild makes the test binary a program that starts a server on the named directory, writes a row and hangs.
const envChild = "EMBEDDEDPG_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envChild); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

func child(dir string) {
	s, err := embeddedpg.Start(context.Background(), embeddedpg.Config{DataDir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	conn, err := pgx.Connect(context.Background(), s.AdminURL())
	if err == nil {
		_, err = conn.Exec(context.Background(), "create table kept as select 7 as n")
	}
	fmt.Println("up", err, s.DataDir(), s.SocketDir())
	select {}
}

func TestServerEndsWithItsKilledParentAndItsDataIsThere(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	real, socket := killParent(t, dir)

	s := start(t, dir) // ends or waits for what is left

	if n := count(t, connect(t, s.AdminURL()), "select n from kept"); n != 7 {
		t.Errorf("read %d, want what was committed before the kill", n)
	}
	if s.DataDir() != real {
		t.Errorf("the data moved from %s to %s", real, s.DataDir())
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the killed server's socket directory %s is left behind (%v)", socket, err)
	}
}

func TestAForeignProcessWithTheOldIDIsNoObstacle(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := start(t, dir)
	pidFile := filepath.Join(first.DataDir(), "cluster", "postmaster.pid")
	lines, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(lines), "\n")
	stale := strconv.Itoa(os.Getpid()) + "\n" + rest // alive, and not PostgreSQL
	if err := os.WriteFile(pidFile, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

// killParent runs a program with a server of its own, kills it, and returns where its data and its socket were.
func killParent(t *testing.T, dir string) (real, socket string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		said <- line
	}()
	var line string
	select {
	case line = <-said:
	case <-time.After(time.Minute):
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := fmt.Sscanf(line, "up <nil> %s %s\n", &real, &socket); err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	return real, socket
}
