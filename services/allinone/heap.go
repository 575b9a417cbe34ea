package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// The heap of one small team is small, so the collector would run many times a second under load, and each time half of the people at work would wait for it.
// Ballast is memory that the collector counts and nobody ever touches, so that it takes none: the heap is collected when it has doubled with the ballast in it.
//
// What the heap grows into is asked for in huge pages where a program has to ask. New memory is handed out a page at a time, which on a virtual machine
// costs 10 µs and more, and a buffer of JetStream has 8 MB: all changes waited for that, 80 ms.
const (
	ballastBytes = 96 << 20
	hugeBytes    = 256 << 20
	memoryLimit  = 512 << 20 // beside the ballast, which Go counts, too
)

// prepareHeap is called before anything has grown the heap, and the memory it returns is kept until the end. GOGC and GOMEMLIMIT decide if they are set,
// without ballast, which would be a part of what they allow.
func prepareHeap() (ballast []byte) {
	limited := os.Getenv("GOMEMLIMIT") != ""
	if !limited && os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastBytes)
		inHugePages(make([]byte, hugeBytes))
		runtime.GC() // gives the addresses back to the heap
	}
	if !limited {
		debug.SetMemoryLimit(int64(memoryLimit + len(ballast)))
	}
	return ballast
}
