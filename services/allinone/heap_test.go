package main

import (
	"runtime"
	"testing"
)

func TestTheHeapIsCollectedWhenItHasDoubledWithItsBallast(t *testing.T) {
	t.Parallel()
	prepared := prepareHeap()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	if heap.NextGC < 2*ballastBytes || heap.NextGC > 2*ballastBytes+hugeBytes/4 {
		t.Errorf("it is collected at %d MB, with %d MB of ballast", heap.NextGC>>20, ballastBytes>>20)
	}
	runtime.KeepAlive(prepared)
}
