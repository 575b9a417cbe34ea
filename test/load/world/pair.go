package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/wire"
)

// Watch opens a live socket at the door addr and authenticates. Since is the last cursor seen, or empty; from a local address, or nil. It returns after
// the ready frame, with the cursor in it.
func Watch(ctx context.Context, addr string, p Person, since string, from net.IP) (*wire.Socket, string, error) {
	s, err := wire.DialSocket(ctx, addr, p.Host, "/api/v1/live", from)
	if err != nil {
		return nil, "", err
	}
	cursor, err := authenticate(s, p.Token, since)
	if err != nil {
		s.Close()
		return nil, "", fmt.Errorf("authenticate on the live socket: %w", err)
	}
	return s, cursor, nil
}

func authenticate(s *wire.Socket, token, since string) (cursor string, err error) {
	auth := `{"type":"auth","token":"` + token + `"`
	if since != "" {
		auth += `,"since":"` + since + `"`
	}
	if err := s.Send([]byte(auth + "}")); err != nil {
		return "", err
	}
	f, err := NextFrame(s)
	if err != nil {
		return "", err
	}
	if f.Type != "ready" {
		return "", fmt.Errorf("the server answered %s %s", f.Type, f.Code)
	}
	return f.Cursor, nil
}

// Pair is a note, the person who changes it and the person who watches it.
type Pair struct {
	Ledger *measure.Ledger

	author *Author
	screen *wire.Socket
	free   time.Time // since when the author waits for nothing

	shown atomic.Pointer[func(at time.Time)]
	ended chan struct{}
	err   error // why the reader ended, once it has
}

// NewPair connects writer and watcher to a note that is at version, through the door addr.
func NewPair(ctx context.Context, addr string, writer, watcher Person, note string, version int) (*Pair, error) {
	p := &Pair{Ledger: measure.NewLedger(version), author: NewAuthor(addr, writer, note, version), ended: make(chan struct{})}
	var err error
	if p.screen, _, err = Watch(ctx, addr, watcher, "", nil); err != nil {
		return nil, err
	}
	go p.read()
	return p, nil
}

// read notes what reaches the screen until the socket ends.
func (p *Pair) read() {
	defer close(p.ended)
	for {
		at, err := p.next()
		if err != nil {
			p.err = err
			return
		}
		if show := p.shown.Load(); show != nil {
			(*show)(at)
		}
	}
}

// Change writes the note once more, stamped with the time it was meant for.
func (p *Pair) Change(at time.Time) error {
	if err := p.author.Change(at); err != nil {
		return err
	}
	p.Ledger.Written(p.author.Version)
	return nil
}

// next waits for the next change of the note to reach the screen, and answers for when it was meant.
func (p *Pair) next() (time.Time, error) {
	for {
		f, err := NextFrame(p.screen)
		if err != nil {
			return time.Time{}, err
		}
		switch {
		case f.Type == "resync":
			return time.Time{}, errors.New("the live socket of a steady reader was told to resync")
		case f.Type == "error":
			return time.Time{}, fmt.Errorf("the live socket was told %s", f.Code)
		case f.Event != "note.v1.NoteChanged":
			continue
		case f.Stamp.IsZero():
			return time.Time{}, errors.New("a change came without its body")
		}
		p.Ledger.Saw(f.Version)
		return f.Stamp, nil
	}
}

// Close ends both connections.
func (p *Pair) Close() {
	p.author.Close()
	p.screen.Close()
	<-p.ended
}

// Pairs makes two people for each pair, has one write a note through the API and share it, and connects both.
func (w *World) Pairs(ctx context.Context, at Workspace, n int) ([]*Pair, error) {
	people, err := w.People(ctx, at, 2*n)
	if err != nil {
		return nil, err
	}
	pairs := make([]*Pair, n)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range pairs {
		g.Go(func() (err error) {
			pairs[i], err = w.meet(ctx, people[2*i], people[2*i+1])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		Leave(pairs)
		return nil, fmt.Errorf("bring people together: %w", err)
	}
	return pairs, nil
}

func (w *World) meet(ctx context.Context, writer, watcher Person) (*Pair, error) {
	n, err := w.Write(writer, "Load", "0")
	if err != nil {
		return nil, err
	}
	if err := w.Share(writer, n.ID, watcher); err != nil {
		return nil, err
	}
	return NewPair(ctx, w.Addr(), writer, watcher, n.ID, n.Version)
}

// Leave closes what there is of pairs.
func Leave(pairs []*Pair) {
	for _, p := range pairs {
		if p != nil {
			p.Close()
		}
	}
}
