package live

import (
	"slices"
	"time"
	"unique"
)

// entry is one event that browsers may see, as the ring keeps it.
type entry struct {
	stream    Stream
	lane      int
	position  int64
	after     Cursor // where this process stood after it
	workspace string
	audience  []string
	everyone  bool
	note      string
	withdrawn Withdrawal
	frame     *Frame
	occurred  time.Time // by the clock of the service
	at        time.Time // when it came here
}

// entryOf is e, which came at that time and after which this process stood there.
func entryOf(e *Event, after Cursor, at time.Time) *entry {
	audience := make([]string, len(e.Audience))
	for i, person := range e.Audience {
		audience[i] = kept(person)
	}
	note := kept(e.Note)
	return &entry{
		stream: e.Stream, lane: e.Lane, position: e.Position, after: after,
		workspace: kept(e.Workspace), audience: audience, everyone: e.Everyone,
		note: note, withdrawn: e.Withdrawn,
		frame: eventFrame(e, note, after), occurred: e.Time, at: at,
	}
}

// kept is s without the message it was read from, which would stay in memory with it; of what many entries name there is mostly one copy.
func kept(s string) string { return unique.Make(s).Value() }

// cost is roughly what the entry holds in memory.
func (e *entry) cost() int {
	const fixed, person = 320, 56
	return fixed + len(e.frame.wire) + person*len(e.audience)
}

// sees reports whether person of workspace may see the event.
func (e *entry) sees(workspace, person string) bool {
	if e.workspace != workspace {
		return false
	}
	if e.everyone {
		return true
	}
	_, found := slices.BinarySearch(e.audience, person) // asked for each socket that comes back, of each event that it may have missed
	return found
}

// ring holds the latest events, oldest first, within three bounds.
type ring struct {
	maxCount, maxBytes int
	maxAge             time.Duration

	entries []*entry // entries[head:] are alive
	head    int
	bytes   int
}

func (r *ring) len() int { return len(r.entries) - r.head }

// newest is the entry that is back before the latest one.
func (r *ring) newest(back int) *entry { return r.entries[len(r.entries)-1-back] }

// add appends e and tells evicted of each entry that has to go for it.
func (r *ring) add(e *entry, evicted func(*entry)) {
	r.entries = append(r.entries, e)
	r.bytes += e.cost()
	for r.len() > r.maxCount || r.bytes > r.maxBytes {
		r.drop(evicted)
	}
	r.expire(e.at, evicted)
}

// expire drops what is older than the bound at now.
func (r *ring) expire(now time.Time, evicted func(*entry)) {
	for r.len() > 0 && now.Sub(r.entries[r.head].at) > r.maxAge {
		r.drop(evicted)
	}
}

func (r *ring) drop(evicted func(*entry)) {
	e := r.entries[r.head]
	r.bytes -= e.cost()
	evicted(e)
	r.entries[r.head] = nil
	r.head++
	if r.head*2 > cap(r.entries) {
		r.compact()
	}
}

// compact moves what is alive to the front, so that the slice stops growing; half of it has gone by each time.
func (r *ring) compact() {
	n := copy(r.entries, r.entries[r.head:])
	clear(r.entries[n:])
	r.entries = r.entries[:n]
	r.head = 0
}
