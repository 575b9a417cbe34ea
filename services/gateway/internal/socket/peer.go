package socket

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

// peer is one socket.
type peer struct {
	server *Server
	host   string // the workspace whose host was connected to
	opened time.Time
	wire   *wire
	ws     *gws.Conn
	client *live.Client

	wrote atomic.Bool // anything but pings since the last one

	mu      sync.Mutex
	expires time.Time // zero until signed in
	second  int64     // of the frames that were counted
	frames  int
	pinged  time.Time
	silent  int       // pings without an answer
	ending  time.Time // when the keeper first saw that the client had ended
}

// open takes over r's connection and answers the handshake.
func (p *peer) open(w http.ResponseWriter, r *http.Request) error {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // a wish; the system has the last word anyway
	}
	p.pinged = p.opened
	p.wire = &wire{Conn: conn, now: p.server.now}
	p.client = p.server.hub.NewClient(func() { go p.flush() }, p.wire.hurry)
	p.wire.client, p.wire.in = p.client, bufio.NewReaderSize(p.wire, readBuffer)
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Reader.Peek(n) // cannot fail for what is buffered
		p.wire.head = append([]byte(nil), ahead...)
	}
	p.ws, err = p.server.up.UpgradeFromConn(carrier{p.wire, p}, p.wire.in, r)
	if err != nil {
		p.wire.kill()
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

// serve reads until the socket ends.
func (p *peer) serve() {
	defer p.server.running.Done()
	defer p.server.remove(p)
	p.read()
	p.server.hub.Leave(p.client)
	p.wire.end()
}

// read hands what arrives to handler until nothing does any more. gws panics at a frame whose length has the highest bit set, which it takes for a
// length below zero; whoever sends one ends their own socket.
func (p *peer) read() {
	defer func() {
		if cause := recover(); cause != nil {
			p.server.log.Warn("a frame that cannot be read", telemetry.Err(fmt.Errorf("%v\n%s", cause, debug.Stack())))
			p.end(live.CodeMalformedFrame)
		}
	}()
	p.ws.ReadLoop()
}

// flush writes what is queued. At most one runs for a peer: the queue wakes nobody while one does.
func (p *peer) flush() {
	var batch []*live.Frame
	for {
		var done bool
		batch, done = p.client.Take(batch[:0], batchBytes)
		if len(batch) > 0 {
			if slices.ContainsFunc(batch, func(f *live.Frame) bool { return !f.Quiet() }) {
				p.wrote.Store(true)
			}
			if err := p.wire.writeBatch(batch); err != nil {
				p.kill()
				return // the queue stays as if someone wrote, so that nobody is woken for it again
			}
		}
		clear(batch)
		if done {
			p.close()
			return
		}
		if len(batch) == 0 {
			return
		}
	}
}

// close says good-bye after the last frame was written.
func (p *peer) close() {
	code := p.client.Ended()
	_ = p.ws.WriteClose(closeCode(code), []byte(code)) // whoever has gone already needs none
}

// end lets the client know why, and closes.
func (p *peer) end(code string) { p.client.End(code) }

func (p *peer) kill() { p.wire.kill() }

// keep is called about once a second.
func (p *peer) keep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.client.Ended() != "":
		p.keepEnded(now)
	case p.expires.IsZero() && now.Sub(p.opened) > authWithin:
		p.end(live.CodeUnauthenticated)
	case !p.expires.IsZero() && now.Sub(p.expires) > expiryGrace:
		p.end(live.CodeTokenExpired)
	case p.wire.stuck(now):
		p.end(live.CodeMalformedFrame)
	default:
		p.keepAlive(now)
	}
}

// keepEnded lets nobody stay who was told to go.
func (p *peer) keepEnded(now time.Time) {
	if p.ending.IsZero() {
		p.ending = now
	}
	if now.Sub(p.ending) > 2*lastWords {
		p.kill()
	}
}

// keepAlive pings, and gives up whoever does not answer: sooner while there is something to read.
func (p *peer) keepAlive(now time.Time) {
	waited, busy := now.Sub(p.pinged), p.wrote.Load()
	switch {
	case p.silent > 0 && busy && waited > busyPongWithin, p.silent > 1 && waited >= pingEvery:
		p.server.countDead()
		p.kill()
	case waited >= pingEvery, p.silent == 0 && busy && waited >= busyPingEvery:
		p.pinged = now
		p.silent++
		p.server.hub.TellCursor(p.client)
		p.client.Send(pingFrame())
		p.wrote.Store(false)
	}
}

func (s *Server) countDead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead++
}

// allowed counts a frame and reports whether the client may send so many.
func (p *peer) allowed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if second := p.server.now().Unix(); second != p.second {
		p.second, p.frames = second, 0
	}
	p.frames++
	return p.frames <= framesPerSecond
}

func (p *peer) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = 0
}

// message handles a text message of the client. A panic ends this socket and no other.
func (p *peer) message(b []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			p.recovered(cause)
		}
	}()
	frame, err := live.ParseClientFrame(b)
	if err != nil {
		p.end(errs.CodeOf(err))
		return
	}
	if frame.Type == live.TypeAuth {
		p.authenticate(frame)
	}
}

func (p *peer) authenticate(frame live.ClientFrame) {
	ctx, cancel := context.WithTimeout(context.Background(), verifyWithin)
	defer cancel()
	who, err := p.server.verify(ctx, frame.Token)
	if err == nil && who.Workspace != p.host {
		err = errs.Unauthenticated(live.CodeWrongWorkspace, "The token is of another workspace.")
	}
	if err == nil {
		err = p.server.hub.Join(p.client, who, frame.Since)
	}
	if err != nil {
		p.end(refusal(err))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expires = who.Expires
}

// refusal is the code that a client acts upon: with a fresh token, by signing in, by trying again, by waiting.
func refusal(err error) string {
	switch code := errs.CodeOf(err); code {
	case live.CodeSessionEnded, live.CodeTokenExpired, live.CodeWrongWorkspace, live.CodeOtherPerson, live.CodeWorkspaceSuspended:
		return code
	}
	if errs.KindOf(err) == errs.KindUnauthenticated {
		return live.CodeUnauthenticated
	}
	return live.CodeUnavailable
}

func (p *peer) recovered(cause any) {
	p.server.log.Error("panic on a socket", telemetry.Err(fmt.Errorf("%v\n%s", cause, debug.Stack())))
	p.end(live.CodeUnavailable)
}
