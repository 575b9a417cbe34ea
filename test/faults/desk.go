package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/client"
)

// desk is one note, the person who writes it and the person who watches it, and what both know to be true.
type desk struct {
	writer, watcher *client.Client
	note            string

	live    *client.Live
	reading sync.WaitGroup

	version   int    // acknowledged to the writer
	body      string // acknowledged to the writer
	attempted string // sent after that, never answered
	writes    int    // acknowledged in this round

	cursor string       // of the watcher; the reader's own while the socket is open
	seen   atomic.Int64 // version the watcher saw last

	lost, doubled, unordered atomic.Int64
}

func newDesk(ctx context.Context, base string, i int) (*desk, error) {
	const password = "correct horse battery staple"
	d := &desk{writer: client.New(base, nil), watcher: client.New(base, nil)}
	if err := d.writer.Register(ctx, fmt.Sprintf("writer%d@example.com", i), fmt.Sprintf("Writer %d", i), password); err != nil {
		return nil, err
	}
	if err := d.watcher.Register(ctx, fmt.Sprintf("watcher%d@example.com", i), fmt.Sprintf("Watcher %d", i), password); err != nil {
		return nil, err
	}
	n, err := d.writer.Create(ctx, fmt.Sprintf("Desk %d", i), "begin")
	if err != nil {
		return nil, err
	}
	live, err := d.watcher.Watch(ctx, "")
	if err != nil {
		return nil, err
	}
	defer live.Close()
	d.note, d.version, d.body = n.ID, n.Version, "begin"
	d.seen.Store(int64(n.Version))
	if err := d.writer.Share(ctx, n.ID, d.watcher.User().ID, "viewer"); err != nil {
		return nil, err
	}
	for { // until the share has arrived: from its cursor on, nothing may be missed
		f, err := live.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("wait for the share: %w", err)
		}
		if f.Event == "note.v1.NoteShared" {
			d.cursor = f.Cursor
			return d, nil
		}
	}
}

// open renews both sessions and resumes the watcher's socket at the last cursor it saw.
func (d *desk) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := patiently(ctx, d.writer.Refresh); err != nil {
		return err
	}
	if err := patiently(ctx, d.watcher.Refresh); err != nil {
		return err
	}
	live, err := d.watcher.Watch(ctx, d.cursor)
	if err != nil {
		return err
	}
	d.live = live
	d.reading.Go(d.read)
	return nil
}

// patiently tries again while the answer is 503, as a browser does.
func patiently(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if client.StatusOf(err) != http.StatusServiceUnavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// read follows the socket until it breaks.
func (d *desk) read() {
	for {
		f, err := d.live.Next(context.Background())
		if err != nil {
			return
		}
		if f.Type == "resync" {
			d.lost.Add(1) // the gateway could not fill a gap that is minutes old at most
			continue
		}
		if f.Type != "event" {
			continue
		}
		d.cursor = f.Cursor
		if f.Event != "note.v1.NoteChanged" {
			continue
		}
		fact, err := f.Fact()
		if err != nil {
			d.lost.Add(1)
			continue
		}
		d.saw(int64(fact.Version))
	}
}

func (d *desk) saw(version int64) {
	switch before := d.seen.Load(); {
	case version == before:
		d.doubled.Add(1)
	case version < before:
		d.unordered.Add(1)
	default:
		d.lost.Add(version - before - 1)
		d.seen.Store(version)
	}
}

// write changes the note again and again until a change is not answered.
func (d *desk) write(ctx context.Context) {
	d.writes, d.attempted = 0, ""
	for i := 0; ; i++ {
		d.attempted = fmt.Sprintf("version %d of %s", d.version+1, d.note)
		n, err := d.writer.Change(ctx, d.note, d.version, d.attempted)
		if err != nil {
			return
		}
		d.version, d.body = n.Version, d.attempted
		d.writes++
	}
}

// close ends the watcher's socket, which the kill has broken, and returns how many writes were acknowledged.
func (d *desk) close() int {
	d.live.Close()
	d.reading.Wait()
	return d.writes
}

// check compares the database with what was acknowledged and waits until the watcher and the search have seen the same.
func (d *desk) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := d.open(ctx); err != nil {
		return err
	}
	defer d.close()
	n, err := d.writer.Note(ctx, d.note)
	if err != nil {
		return err
	}
	switch {
	case n.Version == d.version && n.Body == d.body:
	case n.Version == d.version+1 && n.Body == d.attempted: // committed, but killed before the answer
		d.version, d.body = n.Version, n.Body
	default:
		d.lost.Add(1)
		return fmt.Errorf("note %s is at version %d %q; acknowledged was %d %q, unanswered %q", d.note, n.Version, n.Body, d.version, d.body, d.attempted)
	}
	return d.caughtUp(ctx)
}

func (d *desk) caughtUp(ctx context.Context) error {
	// A change of its own ends the wait: everything before it has arrived when it has.
	last := fmt.Sprintf("marker%d of %s", d.version+1, d.note)
	n, err := d.writer.Change(ctx, d.note, d.version, last)
	if err != nil {
		return fmt.Errorf("change after the restart: %w", err)
	}
	d.version, d.body = n.Version, last
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		found, err := d.watcher.List(ctx, fmt.Sprintf("q=marker%d", d.version))
		if err != nil {
			return fmt.Errorf("search after the restart: %w", err)
		}
		hits := 0
		for _, f := range found {
			if f.ID == d.note {
				hits++
			}
		}
		if hits > 1 {
			d.doubled.Add(1)
		}
		if hits == 1 && d.seen.Load() == int64(d.version) {
			return nil
		}
		select {
		case <-ctx.Done():
			d.lost.Add(1)
			return fmt.Errorf("note %s: at version %d, the watcher has seen %d and the search found it %d times after 30 s", d.note, d.version, d.seen.Load(), hits)
		case <-tick.C:
		}
	}
}
