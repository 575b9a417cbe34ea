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
	left := h.readPidFile()
	if err := h.endProcesses(ctx, left.pid, log); err != nil {
		return err
	}
	// The file would make PostgreSQL refuse to start when another program has got that process id since.
	if err := os.Remove(filepath.Join(h.cluster(), "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear a dead PostgreSQL's lock: %w", err)
	}
	if left.socketDir == "" || left.socketDir == keep {
		return nil
	}
	if err := os.RemoveAll(left.socketDir); err != nil {
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

// leftover is what postmaster.pid tells of the last run.
type leftover struct {
	pid       int
	socketDir string // only when it is one of ours
}

func (h home) readPidFile() leftover {
	text, err := os.ReadFile(filepath.Join(h.cluster(), "postmaster.pid"))
	if err != nil {
		return leftover{}
	}
	const pidLine, socketLine = 0, 4
	lines := strings.Split(string(text), "\n")
	var l leftover
	if pid, err := strconv.Atoi(strings.TrimSpace(lines[pidLine])); err == nil {
		l.pid = pid
	}
	if len(lines) > socketLine && strings.HasPrefix(lines[socketLine], "/tmp/"+socketPrefix) {
		l.socketDir = filepath.Clean(lines[socketLine])
	}
	return l
}
