package main

import (
	"fmt"
	"syscall"
)

// filesFor makes sure that this process, and the stack that inherits it, may open so many files and some more. Go programs raise their soft limit to
// the hard one by themselves.
func filesFor(n int) error {
	const more = 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Max >= uint64(n+more) {
		return nil
	}
	return fmt.Errorf("%d sockets need more open files than the %d that are allowed here: raise the hard limit (ulimit -Hn %d)", n, limit.Max, n+more)
}
