package main

import "golang.org/x/sys/unix"

// inHugePages asks for them where b lies, for whatever will lie there. A kernel without them has no faster way, so its error is nobody's.
func inHugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
