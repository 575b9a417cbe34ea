package measure

import (
	"errors"
	"fmt"
	"sync"
)

// Ledger holds what one reader saw of one note against what its writer was answered. Versions rise by one with each change.
// Safe for concurrent use by the writer and the reader.
type Ledger struct {
	mu      sync.Mutex
	written int // the last version that was acknowledged
	seen    int // the newest version that was seen
	missing map[int]struct{}
	verdict Verdict
}

// NewLedger begins with a version that both know.
func NewLedger(version int) *Ledger {
	return &Ledger{written: version, seen: version, missing: map[int]struct{}{}}
}

// Written notes the version of an acknowledged change.
func (l *Ledger) Written(version int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = max(l.written, version)
	l.verdict.Written++
}

// Saw notes a version that reached the reader. It reports whether it was the first time.
func (l *Ledger) Saw(version int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdict.Seen++
	if version > l.seen {
		for v := l.seen + 1; v < version; v++ {
			l.missing[v] = struct{}{}
		}
		l.seen = version
		return true
	}
	if _, late := l.missing[version]; late {
		delete(l.missing, version)
		l.verdict.Inverted++
		return true
	}
	l.verdict.Doubled++
	return false
}

// Behind is how many acknowledged versions have not been seen yet.
func (l *Ledger) Behind() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.written-l.seen) + len(l.missing)
}

// Verdict is what was wrong so far. What has not been seen yet counts as lost: ask when everything had the time to arrive.
func (l *Ledger) Verdict() Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.verdict
	v.Lost = max(0, l.written-l.seen) + len(l.missing)
	return v
}

// Reset begins to count anew, from the versions that stand.
func (l *Ledger) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdict, l.missing, l.seen = Verdict{}, map[int]struct{}{}, max(l.seen, l.written)
}

// Verdict counts what happened to changes.
type Verdict struct {
	Written  int `json:"written"`
	Seen     int `json:"seen"`
	Lost     int `json:"lost"`
	Doubled  int `json:"doubled"`
	Inverted int `json:"inverted"`
	Failed   int `json:"failed"`
}

// Add is the sum of both.
func (v Verdict) Add(o Verdict) Verdict {
	return Verdict{v.Written + o.Written, v.Seen + o.Seen, v.Lost + o.Lost, v.Doubled + o.Doubled, v.Inverted + o.Inverted, v.Failed + o.Failed}
}

// ErrVoid says that a run measured something that does not work: its figures say nothing.
var ErrVoid = errors.New("the run is void")

// Err wraps ErrVoid when anything was lost, doubled, out of order or failed.
func (v Verdict) Err() error {
	if v.Lost+v.Doubled+v.Inverted+v.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%w: lost %d, doubled %d, out of order %d, failed %d", ErrVoid, v.Lost, v.Doubled, v.Inverted, v.Failed)
}
