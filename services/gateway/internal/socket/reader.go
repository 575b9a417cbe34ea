package socket

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"noteworks.dev/services/gateway/internal/live"
)

// controlOverhead is what a client's control frame has beside its payload.
const controlOverhead = 6

var errPanic = errors.New("a panic while a message was handled")

// reader takes messages from a socket that has some. Between them it is another socket's: what it needs would double what an idle one costs.
type reader struct {
	peer   *peer
	in     *bufio.Reader
	frames *wsutil.Reader
	text   bytes.Buffer
	small  [ws.MaxControlFramePayloadSize]byte
}

func newReader() any {
	r := &reader{in: bufio.NewReaderSize(nil, readBuffer)}
	r.frames = &wsutil.Reader{
		Source: r.in, State: ws.StateServerSide, CheckUTF8: true, MaxFrameSize: live.MaxClientFrame, MaxMessageSize: live.MaxClientFrame, OnIntermediate: r.control,
	}
	return r
}

func (p *peer) borrow() *reader {
	r := p.server.readers.Get().(*reader) //nolint:forcetypeassert,errcheck // the pool makes no other
	r.peer = p
	r.in.Reset(p.wire)
	p.wire.in = r.in
	return r
}

// giveBack is for a reader between two messages. One that gave up within a message is not used again.
func (r *reader) giveBack() {
	p := r.peer
	p.wire.in, r.peer = nil, nil
	r.in.Reset(nil)
	p.server.readers.Put(r)
}

// more reports whether the beginning of another frame has been read.
func (r *reader) more() bool { return r.in.Buffered()+len(r.peer.wire.head) > 0 }

// next handles one control frame or one message of any number of fragments.
func (r *reader) next() error {
	h, err := r.frames.NextFrame()
	if err != nil {
		return err
	}
	if h.OpCode.IsControl() {
		if err := r.control(h, r.frames); err != nil {
			return err
		}
		return r.frames.Discard() // of nothing: it has the end noticed
	}
	r.text.Reset()
	if _, err := r.text.ReadFrom(r.frames); err != nil {
		return err
	}
	switch {
	case !r.peer.counted(0):
	case h.OpCode != ws.OpText:
		r.peer.end(live.CodeBinaryFrame)
	default:
		r.peer.message(r.text.Bytes())
	}
	return nil
}

// control handles a control frame. Its error is io.EOF when the client closes.
func (r *reader) control(h ws.Header, from io.Reader) error {
	payload := r.small[:h.Length]
	if _, err := io.ReadFull(from, payload); err != nil {
		return err
	}
	switch {
	case h.OpCode == ws.OpClose:
		return r.peer.answerClose(payload)
	case !r.peer.counted(controlOverhead + len(payload)):
	case h.OpCode == ws.OpPing:
		r.peer.client.Send(ws.MustCompileFrame(ws.NewPongFrame(payload)))
	default:
		r.peer.answered()
	}
	return nil
}

// answerClose says good-bye to who has said it, by the code that they gave, if any.
func (p *peer) answerClose(payload []byte) error {
	if len(payload) > 0 {
		code, reason := ws.ParseCloseFrameData(payload)
		if err := ws.CheckCloseFrameData(code, reason); err != nil {
			return err
		}
		payload = payload[:2]
	}
	p.wire.bye(ws.MustCompileFrame(ws.NewCloseFrame(payload)))
	return io.EOF
}

// counted accounts for a frame, a control frame's bytes or a whole message, and reports whether it is to be handled.
func (p *peer) counted(control int) bool {
	p.wire.finished(control)
	if p.client.Ended() != "" {
		return false
	}
	if !p.allowed() {
		p.end(live.CodeTooManyFrames)
		return false
	}
	return true
}

// faultOf is what the client is told about an error of reading, "" if there is nobody to tell.
func faultOf(err error) string {
	var protocol ws.ProtocolError
	switch {
	case errors.Is(err, wsutil.ErrFrameTooLarge), errors.Is(err, wsutil.ErrMessageTooLarge), errors.Is(err, errUnfinished):
		return live.CodeFrameTooLarge
	case errors.As(err, &protocol), errors.Is(err, wsutil.ErrInvalidUTF8), errors.Is(err, ws.ErrHeaderLengthMSB), errors.Is(err, ws.ErrHeaderLengthUnexpected):
		return live.CodeMalformedFrame
	case errors.Is(err, errPanic):
		return live.CodeUnavailable
	}
	return ""
}
