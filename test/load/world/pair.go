package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"noteworks.dev/test/client"
	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/wire"
)

// Person is somebody who may call the API: an id, a token, and the host of their workspace.
type Person struct{ ID, Token, Host string }

// person is who is signed in at c.
func (w *World) person(c *client.Client) Person {
	return Person{ID: c.User().ID, Token: c.Token(), Host: w.host}
}

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
	Note   string
	Ledger *measure.Ledger

	writer  *wire.HTTP
	screen  *wire.Socket
	version int
	body    []byte
	free    time.Time // since when the writer waits for nothing

	shown atomic.Pointer[func(at time.Time)]
	ended chan struct{}
	err   error // why the reader ended, once it has
}

// filler makes a body of about 470 bytes: a short note.
const filler = ` The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. ` +
	`The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. ` +
	`The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. `

// NewPair connects writer and watcher to a note that is at version, through the door addr.
func NewPair(ctx context.Context, addr string, writer, watcher Person, note string, version int) (*Pair, error) {
	p := &Pair{Note: note, Ledger: measure.NewLedger(version), version: version, ended: make(chan struct{})}
	p.writer = wire.NewHTTP(addr, writer.Host, writer.Token)
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
	p.body = strconv.AppendInt(append(p.body[:0], `{"body":"`...), at.UnixNano(), 10)
	p.body = append(append(p.body, filler...), `"}`...)
	a, err := p.writer.Do(http.MethodPatch, "/api/v1/notes/"+p.Note, `"`+strconv.Itoa(p.version)+`"`, p.body)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("change: %d %s", a.Status, a.Body)
	}
	if want := `"` + strconv.Itoa(p.version+1) + `"`; a.Header.Get("Etag") != want {
		return fmt.Errorf("change: answered the version %s after %d", a.Header.Get("Etag"), p.version)
	}
	p.version++
	p.Ledger.Written(p.version)
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
	p.writer.Close()
	p.screen.Close()
	<-p.ended
}

// Pairs signs people up through the API, writes and shares a note for each two, and connects them.
func (w *World) Pairs(ctx context.Context, n int) ([]*Pair, error) {
	pairs := make([]*Pair, n)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range pairs {
		g.Go(func() (err error) {
			pairs[i], err = w.meet(ctx, w.met.Add(1))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		Leave(pairs)
		return nil, fmt.Errorf("sign people up: %w", err)
	}
	return pairs, w.Settle(ctx)
}

func (w *World) meet(ctx context.Context, i int64) (*Pair, error) {
	const password = "correct horse battery staple"
	writer, watcher := w.Client(), w.Client()
	if err := writer.Register(ctx, fmt.Sprintf("writer%d@example.com", i), fmt.Sprintf("Writer %d", i), password); err != nil {
		return nil, err
	}
	if err := watcher.Register(ctx, fmt.Sprintf("watcher%d@example.com", i), fmt.Sprintf("Watcher %d", i), password); err != nil {
		return nil, err
	}
	n, err := writer.Create(ctx, "Load", "0")
	if err != nil {
		return nil, err
	}
	if err := writer.Share(ctx, n.ID, watcher.User().ID, "viewer"); err != nil {
		return nil, err
	}
	return NewPair(ctx, w.Addr(), w.person(writer), w.person(watcher), n.ID, n.Version)
}

// Leave closes what there is of pairs.
func Leave(pairs []*Pair) {
	for _, p := range pairs {
		if p != nil {
			p.Close()
		}
	}
}
