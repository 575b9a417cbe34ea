package socket

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

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
	conn, buffered, _, err := ws.HTTPUpgrader{Timeout: writeWithin}.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close() // it was refused already
		}
		return fmt.Errorf("handshake: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // a wish; the system has the last word anyway
	}
	p.pinged = p.opened
	p.wire = &wire{Conn: conn, now: p.server.now}
	p.client = p.server.hub.NewClient(func() { go p.flush() }, p.wire.hurry)
	if n := buffered.Reader.Buffered(); n > 0 {
		ahead, _ := buffered.Reader.Peek(n) // cannot fail for what is buffered
		p.wire.head = append([]byte(nil), ahead...)
	}
	return nil
}

// wait is for the first byte of a message, and all that a socket does while it is idle. It does without more stack than a goroutine has from the beginning, which
// is why what it waited for is read by another.
func (p *peer) wait() {
	n, _ := p.wire.Conn.Read(p.wire.first[:]) // whoever reads next gets the same error
	p.wire.head = p.wire.first[:n]
	go p.read()
}

// read takes what arrives until there is nothing more of it; then the socket waits, or ends.
func (p *peer) read() {
	err := p.messages()
	if err == nil {
		go p.wait()
		return
	}
	if code := faultOf(err); code != "" {
		p.refuse(code)
	}
	p.server.hub.Leave(p.client)
	p.wire.end()
	p.server.remove(p)
	p.server.running.Done()
}

// messages handles whole messages. Its error is nil when all that arrived was of such. A panic ends this socket and no other.
func (p *peer) messages() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p.server.log.Error("panic on a socket", telemetry.Err(fmt.Errorf("%v\n%s", cause, debug.Stack())))
			err = errPanic
		}
	}()
	r := p.borrow()
	for err = r.next(); err == nil && r.more(); {
		err = r.next()
	}
	if err == nil {
		r.giveBack()
	}
	return err
}

// refuse says what is wrong with what was read, and closes. Nothing can be read behind it.
func (p *peer) refuse(code string) {
	if last, first := p.client.Seize(code); first {
		p.wire.bye(last.Wire(), closeFrame(code))
	}
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
			if err := p.wire.writeBatch(p.client, batch); err != nil {
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
func (p *peer) close() { p.wire.bye(closeFrame(p.client.Ended())) }

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
		p.client.Send(ws.CompiledPing)
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

// message handles a text message of the client.
func (p *peer) message(b []byte) {
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
