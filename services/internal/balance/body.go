package balance

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// heldBody keeps a request's body open over several attempts: net/http closes it when an attempt fails, even if not one
// byte was read. A nil heldBody is no body.
type heldBody struct {
	body io.ReadCloser

	mu              sync.Mutex
	read            bool
	ended           bool  // to its end
	failed          error // before it
	holding, closed bool
}

func hold(r *http.Request) *heldBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	return &heldBody{body: r.Body, holding: true}
}

func (b *heldBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.read = true
	b.mu.Unlock()
	n, err := b.body.Read(p)
	if err != nil {
		b.finished(err)
	}
	return n, err
}

func (b *heldBody) finished(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, io.EOF) {
		b.ended = true
		return
	}
	b.failed = err
}

// state reports whether the body was read to its end, and what broke it off before.
func (b *heldBody) state() (ended bool, broken error) {
	if b == nil {
		return true, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended, b.failed
}

func (b *heldBody) Close() error {
	b.mu.Lock()
	b.closed = true
	holding := b.holding
	b.mu.Unlock()
	if holding {
		return nil
	}
	return b.body.Close()
}

// touched reports whether some of the body is gone.
func (b *heldBody) touched() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

// release ends the holding: a Close that came meanwhile is made good, a later one goes through.
func (b *heldBody) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.holding = false
	closed := b.closed
	b.mu.Unlock()
	if closed {
		_ = b.body.Close() // the attempt's own error is what counts
	}
}

// discard closes the body, whatever came of it: a RoundTripper must, also when it fails.
func (b *heldBody) discard() {
	if b != nil {
		_ = b.body.Close() // nothing more is read from it
	}
}
