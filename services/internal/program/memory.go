package program

import (
	"io/fs"
	"runtime/debug"
	"strconv"
	"strings"

	"noteworks.dev/services/internal/config"
)

// Where Linux says how much memory a container may use: control groups version 2, and version 1.
const (
	memoryMax   = "sys/fs/cgroup/memory.max"
	memoryLimit = "sys/fs/cgroup/memory/memory.limit_in_bytes"
)

// limitMemory makes the collector work harder before the container's memory is used up; a tenth is left for what it does not see. Go does this for
// processors by itself and for memory not. GOMEMLIMIT decides when it is set.
func limitMemory(root fs.FS, lookup config.LookupFunc) {
	if set, ok := lookup("GOMEMLIMIT"); ok && set != "" {
		return
	}
	if limit := ContainerMemory(root); limit > 0 {
		debug.SetMemoryLimit(limit - limit/10) // what Go does not see: code, stacks of threads, the page cache
	}
}

// ContainerMemory is how many bytes the container may use, 0 when nobody says so. root is the file system.
func ContainerMemory(root fs.FS) int64 {
	for _, file := range []string{memoryMax, memoryLimit} {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		const unlimited = 1 << 60 // version 1 says so with a huge number, version 2 with a word
		if err == nil && limit > 0 && limit < unlimited {
			return limit
		}
	}
	return 0
}
