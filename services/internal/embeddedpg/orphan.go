package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// orphanPatience is how long a server whose parent died has to end by itself.
const orphanPatience = 10 * time.Second

// endOrphan ends what is left of an earlier server on this cluster, whose parent was killed, and clears its traces. The
// caller holds the lock, so nobody owns such a server any more. keep is a socket directory that is still wanted.
func (h home) endOrphan(ctx context.Context, keep string, log *slog.Logger) error {
	if err := h.endProcesses(ctx, h.recordedProcess(), log); err != nil {
		return err
	}
	// The file would make PostgreSQL refuse to start when another program has got that process id since.
	if err := os.Remove(filepath.Join(h.cluster(), "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear a dead PostgreSQL's lock: %w", err)
	}
	left := h.recordedSocket()
	if left == "" || left == keep {
		return nil
	}
	if err := os.RemoveAll(left); err != nil {
		return fmt.Errorf("clear a dead PostgreSQL's socket: %w", err)
	}
	return nil
}

func (h home) endProcesses(ctx context.Context, recorded int, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	sig := syscall.SIGQUIT
	for {
		pids := serverProcesses(h.cluster(), recorded)
		if len(pids) == 0 {
			return nil
		}
		if sig == syscall.SIGQUIT {
			log.WarnContext(ctx, "a PostgreSQL of an earlier run is still there: ending it", "processes", pids)
			signalAll(pids, sig)
			sig = 0 // asked once; from now on only look
		}
		select {
		case <-ctx.Done():
			signalAll(pids, syscall.SIGKILL)
			return fmt.Errorf("a PostgreSQL of an earlier run does not end (processes %v): %w", pids, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func signalAll(pids []int, sig syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // it may have ended since
	}
}

// recordedProcess is the id in the first line of PostgreSQL's own lock file; 0 without one.
func (h home) recordedProcess() int {
	text, err := os.ReadFile(filepath.Join(h.cluster(), "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0
	}
	return pid
}

// recordedSocket is the socket directory of the last server, if it is one that we made.
func (h home) recordedSocket() string {
	text, err := os.ReadFile(h.socketFile())
	if err != nil {
		return ""
	}
	dir := filepath.Clean(strings.TrimSpace(string(text)))
	if filepath.Dir(dir) != socketParent || !strings.HasPrefix(filepath.Base(dir), socketPrefix) {
		return ""
	}
	return dir
}
