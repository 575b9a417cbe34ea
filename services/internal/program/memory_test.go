package program_test

import (
	"context"
	"runtime"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"noteworks.dev/services/internal/program"
)

func TestTheMemoryOfTheContainerIsKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2":            {map[string]string{"sys/fs/cgroup/memory.max": "134217728\n"}, 128 << 20},
		"version 2, no limit":  {map[string]string{"sys/fs/cgroup/memory.max": "max\n"}, 0},
		"version 1":            {map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n"}, 64 << 20},
		"version 1, no limit":  {map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"no container":         {nil, 0},
		"nothing of use in it": {map[string]string{"sys/fs/cgroup/memory.max": "-1"}, 0},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := program.ContainerMemory(root); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
}

func TestMemoryIsGivenBackWhenLittleHappens(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	released := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapReleased
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		told := make(chan bool, 10)
		go program.GiveBackMemory(ctx, func(resting bool) { told <- resting })
		minute := func() {
			time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
			synctest.Wait()
		}
		work := func() { runtime.KeepAlive(make([]byte, 128<<20)) }
		synctest.Wait()
		work()
		runtime.GC()
		minute()
		if len(told) != 0 {
			t.Error("memory was given back in a minute with work")
		}
		before := released()
		minute()
		if after := released(); after < before+64<<20 {
			t.Errorf("%d MB are given back, %d MB before", after>>20, before>>20)
		}
		minute() // there is nothing more to give
		work()
		minute()
		stop()
		synctest.Wait()
		close(told)
		if first, second := <-told, <-told; !first || second || len(told) > 0 {
			t.Errorf("told %v, %v and %d more", first, second, len(told))
		}
	})
}
