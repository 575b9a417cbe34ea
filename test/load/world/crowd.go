package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/wire"
)

// Viewer is a live socket that watches one note.
type Viewer struct {
	Person Person
	Note   string
	Ledger *measure.Ledger
	// Cursor is the last that was seen. It is the reader's until the viewer is closed.
	Cursor string

	from   net.IP
	socket *wire.Socket
	shown  atomic.Pointer[func(at time.Time)]
	ended  chan struct{}
	err    error
}

// Crowd is many viewers.
type Crowd struct {
	Viewers []*Viewer
	addr    string
}

// NewCrowd is nobody yet, at the door of the stack.
func (w *World) NewCrowd() *Crowd { return &Crowd{addr: w.Addr()} }

// perAddress is how many connections come from one address of the loopback network: an address has some 28,000 ports.
const perAddress = 4096

// Join adds viewers who have not connected yet. Each is a person with the note they watch, which is at version.
func (c *Crowd) Join(p Person, note string, version int) {
	n := len(c.Viewers)
	c.Viewers = append(c.Viewers, &Viewer{Person: p, Note: note, Ledger: measure.NewLedger(version), from: net.IPv4(127, 0, 0, byte(2+n/perAddress))})
}

// Connect opens the sockets of those who have none, so many at once, and returns when all are ready.
func (c *Crowd) Connect(ctx context.Context, atOnce int) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, v := range c.Viewers {
		if v.socket != nil {
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return v.connect(ctx, c.addr)
		})
	}
	return g.Wait()
}

func (v *Viewer) connect(ctx context.Context, addr string) error {
	s, cursor, err := Watch(ctx, addr, v.Person, v.Cursor, v.from)
	if err != nil {
		return err
	}
	if v.Cursor == "" {
		v.Cursor = cursor
	}
	v.socket, v.ended, v.err = s, make(chan struct{}), nil
	go v.read()
	return nil
}

func (v *Viewer) read() {
	defer close(v.ended)
	for {
		f, err := NextFrame(v.socket)
		v.socket.Release()
		switch {
		case err != nil:
			v.err = err
			return
		case f.Type == "resync" || f.Type == "error":
			v.err = fmt.Errorf("the live socket was told %s %s", f.Type, f.Code)
			return
		}
		if f.Cursor != "" {
			v.Cursor = f.Cursor
		}
		if f.Event != "note.v1.NoteChanged" || f.Note != v.Note {
			continue
		}
		v.Ledger.Saw(f.Version)
		if show := v.shown.Load(); show != nil {
			(*show)(f.Stamp)
		}
	}
}

// Show has each change on a screen told from now on, with the time it was meant for.
func (c *Crowd) Show(show func(at time.Time)) {
	for _, v := range c.Viewers {
		v.shown.Store(&show)
	}
}

// Written notes a change that was acknowledged, in the ledgers of all who watch the note.
func (c *Crowd) Written(note string, version int) {
	for _, v := range c.Viewers {
		if v.Note == note {
			v.Ledger.Written(version)
		}
	}
}

// Await waits until everybody has seen everything, patience at most, and answers what was found; then all begin to count anew.
func (c *Crowd) Await(ctx context.Context, patience time.Duration) (measure.Verdict, error) {
	for deadline := time.Now().Add(patience); c.behind() > 0 && time.Now().Before(deadline) && ctx.Err() == nil; {
		time.Sleep(5 * time.Millisecond)
	}
	var (
		sum   measure.Verdict
		first error
	)
	for _, v := range c.Viewers {
		sum = sum.Add(v.Ledger.Verdict())
		v.Ledger.Reset()
		if v.socket == nil {
			continue
		}
		select {
		case <-v.ended:
			sum.Failed++
			first = errors.Join(first, v.err)
		default:
		}
	}
	return sum, errors.Join(sum.Err(), first, ctx.Err())
}

func (c *Crowd) behind() (n int) {
	for _, v := range c.Viewers {
		n += v.Ledger.Behind()
	}
	return n
}

// Cut closes all sockets at once, as a network does that goes away, and waits until their readers have noticed.
func (c *Crowd) Cut() {
	var all sync.WaitGroup
	for _, v := range c.Viewers {
		if v.socket == nil {
			continue
		}
		v.socket.Close()
		all.Go(func() { <-v.ended })
	}
	all.Wait()
	for _, v := range c.Viewers {
		v.socket = nil
	}
}
