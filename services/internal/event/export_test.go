package event

import "time"

// HasWaited makes the bus d older than it is.
func (b *Bus) HasWaited(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.began = b.began.Add(-d)
}
