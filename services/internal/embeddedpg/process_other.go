//go:build !linux

package embeddedpg

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// processAttributes: without a parent-death signal an orphan lives on until the next start ends it.
func processAttributes(acc account) *syscall.SysProcAttr { return baseAttributes(acc) }

// serverProcesses tells whether the process that the lock file names is a server on this cluster.
func serverProcesses(cluster string, recorded int) []int {
	if recorded <= 0 {
		return nil
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(recorded)).Output() //nolint:noctx // a number, at once
	if err != nil || !strings.Contains(string(out), cluster) {
		return nil
	}
	return []int{recorded}
}
