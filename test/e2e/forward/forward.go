// Package forward reaches a Service of a cluster from this machine: a listener on loopback that gives each TCP connection to a pod that is ready
// at that moment, as kube-proxy would, so that a rollout can be driven from outside. It promises what a Service promises: no connection is moved
// to another pod, none is given to a pod that is not ready while another is, and one that can not be had is refused.
//
// Imports client-go. Knows nothing of Noteworks.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// errNoEndpoint is what a Service without a ready pod gives.
var errNoEndpoint = errors.New("no pod is ready")

// Target is a port of a pod.
type Target struct {
	Pod  string
	Port int
}

// Dialer opens a connection to a port of a pod.
type Dialer interface {
	Dial(ctx context.Context, to Target) (io.ReadWriteCloser, error)
}

// Source says which pods are behind the Service now.
type Source interface {
	Targets() []Target
}

// Listener is the Service's address on this machine.
type Listener struct {
	tcp    net.Listener
	source Source
	dialer Dialer
	turn   atomic.Uint64
	cancel context.CancelFunc
	open   sync.WaitGroup

	mu       sync.Mutex
	problems []string
}

// keptProblems is how many of the last problems a Listener remembers.
const keptProblems = 20

// Listen forwards connections to a free port of 127.0.0.1 until Close.
func Listen(source Source, dialer Dialer) (*Listener, error) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listener{tcp: tcp, source: source, dialer: dialer, cancel: cancel}
	l.open.Go(func() { l.accept(ctx) })
	return l, nil
}

// Addr is where the Service is reached.
func (l *Listener) Addr() string { return l.tcp.Addr().String() }

// Problems returns the last connections that could not be made or were broken by the other side, and why.
func (l *Listener) Problems() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.problems...)
}

// Close ends the listener and all its connections.
func (l *Listener) Close() {
	l.cancel()
	_ = l.tcp.Close()
	l.open.Wait()
}

func (l *Listener) accept(ctx context.Context) {
	for {
		conn, err := l.tcp.Accept()
		if err != nil {
			return
		}
		l.open.Go(func() {
			if err := l.serve(ctx, conn); err != nil {
				l.note(err)
				reset(conn)
			}
			_ = conn.Close()
		})
	}
}

func (l *Listener) serve(ctx context.Context, conn net.Conn) error {
	targets := l.source.Targets()
	if len(targets) == 0 {
		return errNoEndpoint
	}
	to := targets[l.turn.Add(1)%uint64(len(targets))]
	stream, err := l.dialer.Dial(ctx, to)
	if err != nil {
		return fmt.Errorf("connect to %s port %d: %w", to.Pod, to.Port, err)
	}
	if err := join(ctx, conn, stream); err != nil {
		return fmt.Errorf("connection to %s port %d: %w", to.Pod, to.Port, err)
	}
	return nil
}

// join copies both ways until the pod has ended its side, or the connection breaks.
func join(ctx context.Context, local net.Conn, pod io.ReadWriteCloser) error {
	defer context.AfterFunc(ctx, func() { _ = local.Close(); abort(pod) })()
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, _ = io.Copy(pod, local) // what breaks here is seen below: the pod's side ends, too
		_ = pod.Close()            // half: what the pod has to say still comes
	}()
	_, err := io.Copy(local, pod)
	if failure, ok := pod.(interface{ Failure() error }); ok && err == nil {
		err = failure.Failure()
	}
	abort(pod)
	if err != nil {
		reset(local)
	}
	_ = local.Close()
	<-up
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return nil // this side ended it
	}
	return err
}

// abort ends both directions of a stream, where Close ends the sending one only.
func abort(stream io.Closer) {
	if s, ok := stream.(interface{ Reset() error }); ok {
		_ = s.Reset()
		return
	}
	_ = stream.Close()
}

// reset makes the close of a connection an abort, so that its client never takes half an answer for a whole one.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func (l *Listener) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, err.Error())
	if n := len(l.problems); n > keptProblems {
		l.problems = l.problems[n-keptProblems:]
	}
}
