package main

import "golang.org/x/sys/unix"

// inHugePages asks for them, or for none, for whatever lies or will lie in the n bytes at addr. A kernel without them has no faster way, so its error is nobody's.
func inHugePages(addr, n uintptr, huge bool) {
	advice := uintptr(unix.MADV_NOHUGEPAGE)
	if huge {
		advice = unix.MADV_HUGEPAGE
	}
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, addr, n, advice)
}
