// Package history is what a stack was asked, what it answered and what it showed, and the rules that all of it has to obey: each note is a
// register with a version that everybody sees change in one order (linearizability, by porcupine); what was acknowledged is there at the end and
// reached every reader once, in the order of versions, as it was written; nobody outside the workspace saw any of it. Test-only.
package history

import (
	"sync"
	"time"
)

// Outcome is what the one who wrote knows of it.
type Outcome uint8

const (
	// Acknowledged was answered with the new version.
	Acknowledged Outcome = iota
	// Refused was answered with the note as it stands, at another version than the one expected.
	Refused
	// Unknown was not answered, or by an error that does not tell: it may have been done, or be done later.
	Unknown
)

// Write is a change of a note's body by somebody who took it to be at version Expected. Moments are since any one beginning.
type Write struct {
	Note       string
	Client     int
	Expected   int
	Body       string // of this write alone
	Begin, End time.Duration
	Outcome    Outcome
	// Version and Current are what was answered: the new version, or the version and body that stood in the way.
	Version int
	Current string
	// Status is that of the answer, 0 for none; RetryAfter says that it told when to come back.
	Status     int
	RetryAfter bool
}

// Read is a note as it was answered.
type Read struct {
	Note       string
	Client     int
	Begin, End time.Duration
	Version    int
	Body       string
}

// Frame is what a reader was shown of a change on the live socket.
type Frame struct {
	Reader, Note string
	At           time.Duration
	Version      int
	Body         string
}

// History is safe for concurrent use.
type History struct {
	mu      sync.Mutex
	began   map[string]Read
	writes  []Write
	reads   []Read
	frames  []Frame
	resyncs map[string]int
	foreign []string
	missing []string
	from    map[place]int
}

// place is a reader at a note.
type place struct{ reader, note string }

// New knows nothing.
func New() *History {
	return &History{began: map[string]Read{}, resyncs: map[string]int{}, from: map[place]int{}}
}

// Began records a note as it was before everything else.
func (h *History) Began(note string, version int, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began[note] = Read{Note: note, Version: version, Body: body}
}

// Wrote records a write.
func (h *History) Wrote(w Write) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes = append(h.writes, w)
}

// Did records a read.
func (h *History) Did(r Read) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads = append(h.reads, r)
}

// Follows records that a reader is to be shown everything after a version: once at the beginning, and again when it was told to start anew.
func (h *History) Follows(reader, note string, version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := place{reader, note}
	if _, known := h.from[p]; !known {
		h.from[p] = version
		return
	}
	h.frames = append(h.frames, Frame{Reader: reader, Note: note, Version: version, At: anew})
}

// anew is the moment of a frame that stands for a reader that has read the note and goes on from there.
const anew time.Duration = -1

// Saw records a frame.
func (h *History) Saw(f Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames = append(h.frames, f)
}

// Resync records that a reader was told that it has missed something.
func (h *History) Resync(reader string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resyncs[reader]++
}

// Foreign records that somebody saw what is not theirs.
func (h *History) Foreign(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.foreign = append(h.foreign, what)
}

// Missing records that something acknowledged was not found where it should be.
func (h *History) Missing(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing = append(h.missing, what)
}

// Writes are those recorded so far.
func (h *History) Writes() []Write {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Write(nil), h.writes...)
}

// Frames are those recorded so far.
func (h *History) Frames() []Frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Frame(nil), h.frames...)
}

// Resyncs is how often readers were told to start anew.
func (h *History) Resyncs() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, times := range h.resyncs {
		n += times
	}
	return n
}
