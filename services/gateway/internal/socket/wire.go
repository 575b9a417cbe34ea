package socket

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"noteworks.dev/services/gateway/internal/live"
)

var errUnfinished = errors.New("a message that does not end")

// wire is the connection under a WebSocket. It keeps batches of frames and the last words apart, and bounds messages that are sent in pieces.
type wire struct {
	net.Conn
	head  []byte        // read already: with the handshake, or by who waited
	first [1]byte       // of a message, for who waits
	in    *bufio.Reader // what messages are read from, nil while the socket waits

	write  sync.Mutex
	closed atomic.Bool

	mu         sync.Mutex
	unfinished int       // bytes since the last message ended
	since      time.Time // when those began
	now        func() time.Time
}

// Read counts what it reads towards the message that is under way.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.read(b)
	if n == 0 {
		return n, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unfinished == 0 {
		w.since = w.now()
	}
	if w.unfinished += n; w.unfinished > maxUnfinished {
		return 0, errUnfinished
	}
	return n, err
}

func (w *wire) read(b []byte) (int, error) {
	if len(w.head) == 0 {
		return w.Conn.Read(b)
	}
	n := copy(b, w.head)
	w.head = w.head[n:]
	return n, nil
}

// finished says that a message ended, or a control frame with so many bytes, which may stand between the fragments of one. What was read along with
// the end of a message is the beginning of the next. It is called by who reads.
func (w *wire) finished(control int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if control == 0 {
		w.unfinished, w.since = w.in.Buffered(), w.now()
		return
	}
	w.unfinished = max(0, w.unfinished-control)
}

// stuck reports whether a message has been under way for too long.
func (w *wire) stuck(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unfinished > 0 && now.Sub(w.since) > messageWithin
}

// writeBatch writes frames to client in one system call.
func (w *wire) writeBatch(client *live.Client, frames []*live.Frame) error {
	w.write.Lock()
	defer w.write.Unlock()
	if err := w.Conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if client.Ended() != "" {
		w.hurry()
	}
	if len(frames) == 1 { // as nearly always
		_, err := w.Conn.Write(frames[0].Wire())
		return err
	}
	buffers := make(net.Buffers, len(frames))
	for i, f := range frames {
		buffers[i] = f.Wire()
	}
	_, err := buffers.WriteTo(w.Conn)
	return err
}

// hurry leaves a write that is under way only as long as last words may take.
func (w *wire) hurry() {
	_ = w.Conn.SetWriteDeadline(time.Now().Add(lastWords)) // fails on a closed connection, which needs no hurry
}

// bye writes the last frames and ends our side only: with unread input, closing for good resets the connection, and the client would not get
// to see why. The reader ends by the client's close or by the deadline, and then calls end. Only the first call does anything.
func (w *wire) bye(frames ...[]byte) {
	if w.closed.Swap(true) {
		return
	}
	w.write.Lock()
	defer w.write.Unlock()
	w.hurry()
	last := net.Buffers(frames)
	_, _ = last.WriteTo(w.Conn) // whoever has gone already needs none
	half, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok {
		_ = w.Conn.Close() // nothing to learn from it
		return
	}
	_ = half.CloseWrite()                                 // nothing to learn from it
	_ = w.Conn.SetReadDeadline(time.Now().Add(lastWords)) // fails on a closed connection, which nobody reads
}

// end closes for good, after reading away what still arrives.
func (w *wire) end() {
	var scrap [512]byte
	for range maxUnfinished * 8 {
		if _, err := w.Conn.Read(scrap[:]); err != nil {
			break
		}
	}
	_ = w.Conn.Close() // nothing to learn from it
}

// kill closes at once; whoever reads or writes gets an error.
func (w *wire) kill() {
	w.closed.Store(true)
	_ = w.Conn.Close() // nothing to learn from it
}

// closeCode is the status that goes with the end of a client.
func closeCode(code string) ws.StatusCode {
	switch code {
	case live.CodeRestart:
		return 1012
	case live.CodeFrameTooLarge:
		return 1009
	case live.CodeBinaryFrame:
		return 1003
	case live.CodeMalformedFrame:
		return 1007
	case live.CodeUnavailable, live.CodeTooSlow, live.CodeWorkspaceSuspended:
		return 1013
	}
	return 1008
}

func closeFrame(code string) []byte {
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(closeCode(code), code)))
}
