package embeddedpg

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// processAttributes make the kernel send SIGQUIT ("immediate shutdown") to the child when this process ends.
func processAttributes(acc account) *syscall.SysProcAttr {
	attr := baseAttributes(acc)
	attr.Pdeathsig = syscall.SIGQUIT
	return attr
}

// serverProcesses lists the processes of a server on this cluster, by their working directory: the postmaster and its
// children, which for a moment outlive it.
func serverProcesses(cluster string, _ int) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	var pids []int
	for _, cwd := range dirs {
		if dir, err := os.Readlink(cwd); err != nil || dir != cluster {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(cwd))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
