package live

import (
	"slices"
	"sync"
)

// queue is what one socket has yet to be sent. Pushing never blocks. A queue is idle while it is empty and nobody writes; leaving
// that state calls wake once, and whoever was woken takes until take answers nothing or done.
type queue struct {
	maxFrames, maxBytes int
	wake                func()

	mu      sync.Mutex
	frames  []*Frame
	bytes   int
	writing bool
	code    string // why nothing may follow, "" while something may
}

// push appends f. False means that f did not fit: the client does not keep up.
func (q *queue) push(f *Frame) bool {
	q.mu.Lock()
	if q.code != "" {
		q.mu.Unlock()
		return true
	}
	fits := len(q.frames) < q.maxFrames && q.bytes+len(f.wire) <= q.maxBytes
	if fits {
		q.append(f)
	}
	q.unlockAndWake()
	return fits
}

// pushAll appends frames whatever the bounds say; the caller has counted.
func (q *queue) pushAll(frames ...*Frame) {
	q.mu.Lock()
	if q.code == "" {
		for _, f := range frames {
			q.append(f)
		}
	}
	q.unlockAndWake()
}

// finish forgets what waits and lets f, if not nil, be the last frame. It reports whether this call did so.
func (q *queue) finish(code string, f *Frame) bool {
	q.mu.Lock()
	if q.code != "" {
		q.mu.Unlock()
		return false
	}
	q.code = code
	q.frames, q.bytes = nil, 0
	if f != nil {
		q.append(f)
	}
	q.unlockAndWake()
	return true
}

// seize is finish for a caller that writes the end itself: nobody is woken.
func (q *queue) seize(code string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.code != "" {
		return false
	}
	q.code, q.writing = code, true
	q.frames, q.bytes = nil, 0
	return true
}

func (q *queue) ended() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.code
}

// take appends up to maxBytes of frames to into, at least one if there is any. None means that the queue is idle again; done, that the last
// frame has been taken.
func (q *queue) take(into []*Frame, maxBytes int) (taken []*Frame, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for size := 0; n < len(q.frames); n++ {
		size += len(q.frames[n].wire)
		if n > 0 && size > maxBytes {
			break
		}
		q.bytes -= len(q.frames[n].wire)
	}
	into = append(into, q.frames[:n]...)
	q.frames = slices.Delete(q.frames, 0, n)
	done = q.code != "" && len(q.frames) == 0
	if n == 0 {
		q.frames = nil // most sockets are idle most of the time
		q.writing = done
	}
	return into, done
}

// withdraw removes the frames of a note that have not been taken, and says how many.
func (q *queue) withdraw(note string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.frames)
	q.frames = slices.DeleteFunc(q.frames, func(f *Frame) bool {
		if f.note != note {
			return false
		}
		q.bytes -= len(f.wire)
		return true
	})
	return before - len(q.frames)
}

func (q *queue) append(f *Frame) {
	q.frames = append(q.frames, f)
	q.bytes += len(f.wire)
}

// unlockAndWake wakes the writer if there is something to do and nobody does it.
func (q *queue) unlockAndWake() {
	wake := !q.writing && (len(q.frames) > 0 || q.code != "")
	q.writing = q.writing || wake
	q.mu.Unlock()
	if wake {
		q.wake()
	}
}
