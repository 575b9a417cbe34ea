package balance

import "sync"

const (
	perRequest = 0.1 // retries a request earns
	maxSaved   = 10  // retries that can be saved up for a bad moment; also what a new budget starts with
)

// budget allows retries for a tenth of the requests.
type budget struct {
	mu    sync.Mutex
	saved float64
}

func newBudget() *budget { return &budget{saved: maxSaved} }

func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved = min(b.saved+perRequest, maxSaved)
}

func (b *budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.saved < 1 {
		return false
	}
	b.saved--
	return true
}
