package socket

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/services/gateway/internal/live"
)

var errUnfinished = errors.New("a message that does not end")

// wire is the connection under a WebSocket. Two sides write to it, our batches and gws's close frames, each whole frames; it keeps
// them apart, puts an error frame before a close that gws decided on, and bounds messages that are sent in pieces.
type wire struct {
	net.Conn
	client *live.Client
	head   []byte        // read ahead with the handshake
	in     *bufio.Reader // what gws reads from, and may have read ahead of the message it is at

	write sync.Mutex

	mu         sync.Mutex
	unfinished int       // bytes since the last message ended
	since      time.Time // when those began
	now        func() time.Time
	fault      string // why reading was given up, "" if it was not
	closed     atomic.Bool
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
		w.fault = live.CodeFrameTooLarge
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

// Write is for gws, which writes whole frames, and of those only close frames: everything else goes through writeBatch.
func (w *wire) Write(b []byte) (int, error) {
	out := b
	if code := w.faultOf(b); code != "" {
		if last, first := w.client.Seize(code); first {
			out = append(append([]byte(nil), last.Wire()...), closeFrame(code)...)
		}
	}
	w.write.Lock()
	defer w.write.Unlock()
	if err := w.Conn.SetWriteDeadline(time.Now().Add(lastWords)); err != nil {
		return 0, err
	}
	if _, err := w.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// faultOf is what the client did wrong if b is gws's close frame for that.
func (w *wire) faultOf(b []byte) string {
	const finalClose = 0x88
	w.mu.Lock()
	fault := w.fault
	w.mu.Unlock()
	if fault != "" || len(b) < 4 || b[0] != finalClose {
		return fault
	}
	switch binary.BigEndian.Uint16(b[2:]) {
	case 1002, 1007, 1008:
		return live.CodeMalformedFrame
	case 1003:
		return live.CodeBinaryFrame
	case 1009:
		return live.CodeFrameTooLarge
	}
	return ""
}

// writeBatch writes frames in one system call.
func (w *wire) writeBatch(frames []*live.Frame) error {
	buffers := make(net.Buffers, len(frames))
	for i, f := range frames {
		buffers[i] = f.Wire()
	}
	w.write.Lock()
	defer w.write.Unlock()
	if err := w.Conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if w.client.Ended() != "" {
		w.hurry()
	}
	_, err := buffers.WriteTo(w.Conn)
	return err
}

// hurry leaves a write that is under way only as long as last words may take.
func (w *wire) hurry() {
	_ = w.Conn.SetWriteDeadline(time.Now().Add(lastWords)) // fails on a closed connection, which needs no hurry
}

// Close is for gws. It ends our side only: with unread input, closing for good resets the connection, and the client would not get
// to see why. The reader ends by the client's close or by the deadline, and then calls end.
func (w *wire) Close() error {
	if w.closed.Swap(true) {
		return nil
	}
	half, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok {
		return w.Conn.Close()
	}
	return errors.Join(half.CloseWrite(), w.Conn.SetReadDeadline(time.Now().Add(lastWords)))
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
func closeCode(code string) uint16 {
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
	b := []byte{0x88, byte(2 + len(code))} // codes are far below the 123 bytes there are
	b = binary.BigEndian.AppendUint16(b, closeCode(code))
	return append(b, code...)
}

func pongFrame(payload []byte) []byte {
	return append([]byte{0x8a, byte(len(payload))}, payload...) // gws refuses control frames over 125 bytes
}

func pingFrame() []byte { return []byte{0x89, 0} }
