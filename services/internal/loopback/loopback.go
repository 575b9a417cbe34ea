// Package loopback connects parts of one process that would talk to each other over its own ports: what is dialled at an address on which this process listens
// becomes a pipe in memory. To both ends it is a connection like any other.
//
// It promises: who dials through Dial and listens through Listen needs no setting, since the address tells; an address that nobody here
// listens on is dialled as always; a listener that is closed takes no new connection, and those it has taken stay. Imports the standard library only.
package loopback

import (
	"context"
	"errors"
	"net"
	"sync"
)

// ports are the listeners of this process by address.
var ports struct { //nolint:gochecknoglobals // a process has its ports once
	sync.RWMutex
	at map[string]*listener
}

// Listen returns a listener beside ln that takes what this process dials at ln's address. A server serves both. An address of all interfaces is nobody's to dial,
// so that its second listener stays idle.
func Listen(ln net.Listener) net.Listener {
	l := &listener{addr: ln.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	ports.Lock()
	defer ports.Unlock()
	if ports.at == nil {
		ports.at = map[string]*listener{}
	}
	ports.at[l.addr.String()] = l
	return l
}

type listener struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	ports.Lock()
	defer ports.Unlock()
	if address := l.addr.String(); ports.at[address] == l {
		delete(ports.at, address)
	}
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// Dial is dialer's DialContext, and connects in memory to an address on which this process listens.
func Dial(dialer *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ports.RLock()
		here := ports.at[address]
		ports.RUnlock()
		if here != nil {
			c, err := here.dial(ctx)
			if !errors.Is(err, net.ErrClosed) {
				return c, err
			}
		}
		return dialer.DialContext(ctx, network, address)
	}
}

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case l.conns <- conn{theirs, l.addr}:
		return conn{mine, l.addr}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// conn has addresses as a connection over the network has: both ends are on this machine.
type conn struct {
	net.Conn
	addr net.Addr
}

func (c conn) LocalAddr() net.Addr  { return c.addr }
func (c conn) RemoteAddr() net.Addr { return c.addr }
