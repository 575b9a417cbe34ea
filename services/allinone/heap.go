package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"unsafe"
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

// heap is how this program's heap was prepared. It is kept until the end.
type heap struct {
	ballast []byte
	huge    uintptr // where hugeBytes begin that the heap grows into, 0 if nothing was prepared
}

// prepareHeap is called before anything has grown the heap. GOGC and GOMEMLIMIT decide if they are set, without ballast, which would be a part of what they allow.
func prepareHeap() *heap {
	h := &heap{}
	limited := os.Getenv("GOMEMLIMIT") != ""
	if !limited && os.Getenv("GOGC") == "" {
		h.ballast = make([]byte, ballastBytes)
		h.huge = uintptr(unsafe.Pointer(unsafe.SliceData(make([]byte, hugeBytes)))) // addresses of the heap stay the heap's
		h.resting(false)
		runtime.GC() // gives the addresses back to the heap
	}
	if !limited {
		debug.SetMemoryLimit(int64(memoryLimit + len(h.ballast)))
	}
	return h
}

// resting has no huge pages made while memory is given back: of one in use the system makes 512 again.
func (h *heap) resting(resting bool) {
	if h.huge != 0 {
		inHugePages(h.huge, hugeBytes, !resting)
	}
}
