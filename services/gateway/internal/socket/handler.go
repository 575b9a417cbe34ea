package socket

import (
	"github.com/lxzan/gws"

	"noteworks.dev/services/gateway/internal/live"
)

// carrier leads from gws's connection back to the peer.
type carrier struct {
	*wire
	peer *peer
}

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
	defer func() { _ = m.Close() }() // gives the buffer back; never fails
	p := peerOf(c)
	switch {
	case !p.counted(0):
	case m.Opcode != gws.OpcodeText:
		p.end(live.CodeBinaryFrame)
	default:
		aside(func() { p.message(m.Bytes()) })
	}
}

// aside runs do on a goroutine of its own and waits for it. Reading JSON and checking a token takes more stack than waiting for the next
// frame does, and a stack that has grown stays: it would double what an idle socket costs.
func aside(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
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
