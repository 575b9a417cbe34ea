package local

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// lookAgain is how often the replicas are asked whether they are ready.
	lookAgain = 200 * time.Millisecond
	// dialPatience is how long a replica may take to accept.
	dialPatience = time.Second
)

// Endpoints is what a Service of Kubernetes is to its clients: one address, behind which each new connection goes to the next replica that is
// ready. Connections stay where they are.
type Endpoints struct {
	// Addr is where it listens.
	Addr string

	listener net.Listener
	stop     context.CancelFunc
	replicas []replica

	mu    sync.Mutex
	ready []string
	next  int
}

type replica struct{ addr, readyz string }

func serveEndpoints(addr string, replicas []replica) (*Endpoints, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &Endpoints{Addr: l.Addr().String(), listener: l, stop: stop, replicas: replicas}
	go e.look(ctx)
	go e.serve()
	return e, nil
}

// look finds out who is ready, until ctx ends.
func (e *Endpoints) look(ctx context.Context) {
	for tick := time.NewTicker(lookAgain); ctx.Err() == nil; {
		ready := make([]bool, len(e.replicas))
		var asked sync.WaitGroup
		for i, r := range e.replicas {
			asked.Go(func() { ready[i] = answers(ctx, r.readyz) })
		}
		asked.Wait()
		e.mu.Lock()
		e.ready = e.ready[:0]
		for i, r := range e.replicas {
			if ready[i] {
				e.ready = append(e.ready, r.addr)
			}
		}
		e.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (e *Endpoints) serve() {
	for {
		client, err := e.listener.Accept()
		if err != nil {
			return
		}
		go e.lead(client)
	}
}

// candidates are the ready replicas, each connection's first one another.
func (e *Endpoints) candidates() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.ready) == 0 {
		return nil
	}
	e.next = (e.next + 1) % len(e.ready)
	return slices.Concat(e.ready[e.next:], e.ready[:e.next])
}

func (e *Endpoints) lead(client net.Conn) {
	defer func() { _ = client.Close() }()
	for _, addr := range e.candidates() {
		server, err := net.DialTimeout("tcp", addr, dialPatience)
		if err != nil {
			continue
		}
		both(client, server)
		return
	}
}

// both copies between two connections until either ends.
func both(a, b net.Conn) {
	var ended sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // whoever ends first ends both
		_ = to.Close()
		_ = from.Close()
	}
	ended.Go(func() { pass(a, b) })
	pass(b, a)
	ended.Wait()
}

func (e *Endpoints) close() {
	e.stop()
	_ = e.listener.Close()
}
