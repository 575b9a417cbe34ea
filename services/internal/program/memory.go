package program

import (
	"context"
	"io/fs"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

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

const (
	lookEvery = time.Minute
	// worthBack is how much of the heap has to be free to be given back, and how much allocated between two looks is work again.
	worthBack = 32 << 20
)

// GiveBackMemory gives memory back to the system while little happens, until ctx ends. What opening ten thousand sockets leaves behind Go keeps, by its own reckoning,
// for as long as the heap may grow to that size again. The price is a collection, as Go itself makes one every two minutes, and that memory is new when it is needed.
// resting, which may be nil, is told before memory is given back, and when there is work again.
func GiveBackMemory(ctx context.Context, resting func(bool)) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	g := giver{resting: resting}
	for g.look(); ; g.look() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

type giver struct {
	resting   func(bool)
	gave      bool
	allocated uint64 // since the program began
}

// look gives back what is free when what was allocated since the last look is a quarter of it at most: it would be used again in four looks at the soonest.
func (g *giver) look() {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(samples)
	allocated, free := samples[0].Value.Uint64(), samples[1].Value.Uint64()
	used := allocated - g.allocated
	g.allocated = allocated
	switch {
	case free >= worthBack && used <= free/4:
		g.rest(true)
		debug.FreeOSMemory()
	case g.gave && used >= worthBack:
		g.rest(false)
	}
}

func (g *giver) rest(resting bool) {
	g.gave = resting
	if g.resting != nil {
		g.resting(resting)
	}
}
