package measure

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what a histogram can hold; what takes longer is counted as this.
const longest = time.Minute

// Latencies is a histogram of durations to the microsecond, with three digits. Safe for concurrent use.
type Latencies struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// NewLatencies is an empty one.
func NewLatencies() *Latencies {
	return &Latencies{h: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// Record counts one duration.
func (l *Latencies) Record(d time.Duration) {
	us := min(max(1, d.Microseconds()), longest.Microseconds())
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.h.RecordValue(us) // within the bounds, so that it cannot fail
}

// Count is how many were recorded.
func (l *Latencies) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.TotalCount()
}

// At is the duration that percent of all do not exceed, 0 if there are none; At(100) is the longest.
func (l *Latencies) At(percent float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.h.ValueAtQuantile(percent)) * time.Microsecond
}

// Millis is d in milliseconds, as tables tell it.
func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
