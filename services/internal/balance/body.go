package balance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// replayable is the longest body that is kept to be sent again. Most changes of notes are shorter; keeping longer ones would cost more memory than
// the few retries are worth.
const replayable = 64 << 10

// heldBody keeps a request's body open over several attempts: net/http closes it when an attempt fails, even if not one
// byte was read. A nil heldBody is no body.
type heldBody struct {
	body io.ReadCloser
	kept []byte // all of it, if it is short

	mu              sync.Mutex
	read            bool
	ended           bool  // to its end
	failed          error // before it
	holding, closed bool
}

// hold takes r's body over, and reads it at once if it is said to be short.
func hold(r *http.Request) *heldBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &heldBody{body: r.Body, holding: true}
	if r.ContentLength > 0 && r.ContentLength <= replayable {
		b.keep(r.Context(), make([]byte, r.ContentLength))
	}
	return b
}

// keep reads all of the body into kept, unless ctx ends first: a Read cannot be interrupted, but whoever owns the body ends it soon after the request.
func (b *heldBody) keep(ctx context.Context, kept []byte) {
	read := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(b.body, kept)
		read <- err
	}()
	b.read = true
	select {
	case err := <-read:
		b.kept = kept
		b.finished(err)
	case <-ctx.Done():
		b.finished(ctx.Err())
	}
}

// put gives r the body, as often as it is asked for if it is short.
func (b *heldBody) put(r *http.Request) {
	if b == nil {
		return
	}
	if b.kept == nil {
		r.Body = b
		return
	}
	again := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.kept)), nil }
	r.Body, _ = again()
	r.GetBody = again
}

// spent reports whether some of the body is gone and cannot be sent again.
func (b *heldBody) spent() bool {
	if b == nil || b.kept != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
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
	if err == nil || errors.Is(err, io.EOF) {
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
