package socket

import (
	"bufio"

	"github.com/lxzan/gws"

	"noteworks.dev/services/gateway/internal/live"
)

// carrier leads from gws's connection back to the peer.
type carrier struct {
	*wire
	peer *peer
}

func newReader(w *wire) *bufio.Reader { return bufio.NewReaderSize(w, readBuffer) }

// controlOverhead is what a client's control frame has beside its payload.
const controlOverhead = 6

// handler is called by gws, from the goroutine that reads the socket.
type handler struct{}

func peerOf(c *gws.Conn) *peer { return c.NetConn().(carrier).peer } //nolint:forcetypeassert,errcheck // open puts it there

func (handler) OnOpen(*gws.Conn) {}

func (handler) OnClose(*gws.Conn, error) {}

func (handler) OnPing(c *gws.Conn, payload []byte) {
	p := peerOf(c)
	if p.counted(controlOverhead + len(payload)) {
		p.client.Send(pongFrame(payload))
	}
}

func (handler) OnPong(c *gws.Conn, payload []byte) {
	p := peerOf(c)
	if p.counted(controlOverhead + len(payload)) {
		p.answered()
	}
}

func (handler) OnMessage(c *gws.Conn, m *gws.Message) {
	p := peerOf(c)
	defer func() { _ = m.Close() }() // gives the buffer back; never fails
	defer func() {
		if cause := recover(); cause != nil {
			p.recovered(cause)
		}
	}()
	switch {
	case !p.counted(0):
	case m.Opcode != gws.OpcodeText:
		p.end(live.CodeBinaryFrame)
	default:
		p.message(m.Bytes())
	}
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
