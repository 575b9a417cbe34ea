// Package desk is one note, the person who writes it and the person who watches it, and what both know to be true: what was acknowledged to the one
// and shown to the other. Whatever is done to the program meanwhile, a Desk finds what was lost, came twice or came out of order.
//
// Imports the client only. Used by the fault command and the end-to-end suite.
package desk

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/test/client"
)

// patience bounds everything that has to happen once the program serves again.
const patience = 30 * time.Second

// Desk is used by one goroutine, beside the reader it starts itself.
type Desk struct {
	writer, watcher *client.Client
	note            string

	version    int      // acknowledged to the writer
	body       string   // acknowledged to the writer
	unanswered []string // sent after that, never answered
	attempts   int
	writes     int // acknowledged since Open

	live    *client.Live
	reading sync.WaitGroup
	cursor  string       // of the watcher; the reader's own while the socket is open
	seen    atomic.Int64 // version the watcher saw last

	lost, doubled, unordered atomic.Int64
}

// Verdict counts what must not be.
type Verdict struct{ Lost, Doubled, Unordered int }

// Good says that nothing was found.
func (v Verdict) Good() bool { return v == Verdict{} }

func (v Verdict) String() string {
	return fmt.Sprintf("%d lost, %d doubled, %d out of order", v.Lost, v.Doubled, v.Unordered)
}

// Add sums up.
func (v Verdict) Add(o Verdict) Verdict {
	return Verdict{v.Lost + o.Lost, v.Doubled + o.Doubled, v.Unordered + o.Unordered}
}

// New signs two people up at the workspace at base, called after name, and shares a new note between them.
func New(ctx context.Context, base, name string) (*Desk, error) {
	const password = "correct horse battery staple"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := &Desk{writer: client.New(base, nil), watcher: client.New(base, nil)}
	if err := d.writer.Register(ctx, "writer-"+name+"@example.com", "Writer "+name, password); err != nil {
		return nil, err
	}
	if err := d.watcher.Register(ctx, "watcher-"+name+"@example.com", "Watcher "+name, password); err != nil {
		return nil, err
	}
	n, err := d.writer.Create(ctx, "Desk "+name, "begin")
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

// Verdict is what was found so far.
func (d *Desk) Verdict() Verdict {
	return Verdict{int(d.lost.Load()), int(d.doubled.Load()), int(d.unordered.Load())}
}

// Open renews both sessions and resumes the watcher's socket at the last cursor it saw.
func (d *Desk) Open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	live, err := d.watcher.Watch(ctx, d.cursor)
	if err != nil {
		return err
	}
	d.live, d.writes = live, 0
	d.reading.Go(func() { d.read(live) })
	return nil
}

// refresh renews both sessions.
func (d *Desk) refresh(ctx context.Context) error {
	if err := patiently(ctx, d.writer.Refresh); err != nil {
		return err
	}
	return patiently(ctx, d.watcher.Refresh)
}

// patiently tries again while the answer is 503, as a browser does.
func patiently(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if client.StatusOf(err) != http.StatusServiceUnavailable {
			return err
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// read follows a socket until it breaks.
func (d *Desk) read(live *client.Live) {
	for {
		f, err := live.Next(context.Background())
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

func (d *Desk) saw(version int64) {
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

// Write changes the note again and again until a change is not answered.
func (d *Desk) Write(ctx context.Context) {
	for d.change(ctx) == nil {
	}
}

func (d *Desk) change(ctx context.Context) error {
	d.attempts++
	attempt := fmt.Sprintf("attempt %d of %s", d.attempts, d.note)
	d.unanswered = append(d.unanswered, attempt)
	n, err := d.writer.Change(ctx, d.note, d.version, attempt)
	if err != nil {
		return err
	}
	d.acknowledged(n.Version, attempt)
	d.writes++
	return nil
}

func (d *Desk) acknowledged(version int, body string) {
	d.version, d.body, d.unanswered = version, body, nil
}

// Close ends the watcher's socket and returns how many writes were acknowledged since Open.
func (d *Desk) Close() int {
	d.live.Close()
	d.reading.Wait()
	return d.writes
}

// Check opens the desk once more, compares the database with what was acknowledged and waits until the watcher and the search have seen the same.
func (d *Desk) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.Open(ctx); err != nil {
		return err
	}
	defer d.Close()
	if err := d.compare(ctx); err != nil {
		return err
	}
	return d.CaughtUp(ctx)
}

// compare reads the note. It is what was acknowledged last, or what was sent after that and committed without an answer: all of that was
// sent for one version, so at most one of them.
func (d *Desk) compare(ctx context.Context) error {
	n, err := d.writer.Note(ctx, d.note)
	if err != nil {
		return err
	}
	switch {
	case n.Version == d.version && n.Body == d.body:
		return nil // what is unanswered may still be under way
	case n.Version == d.version+1 && slices.Contains(d.unanswered, n.Body):
		d.acknowledged(n.Version, n.Body)
		return nil
	default:
		d.lost.Add(1)
		return &Lost{fmt.Errorf("note %s is at version %d %q; acknowledged was %d %q, unanswered %q", d.note, n.Version, n.Body, d.version, d.body, d.unanswered)}
	}
}

// Lost is the error of a database that is not what was acknowledged.
type Lost struct{ error }

// CaughtUp waits until the watcher and the search have seen everything that was acknowledged. A change of its own ends the wait.
func (d *Desk) CaughtUp(ctx context.Context) error {
	last := fmt.Sprintf("marker%d of %s", d.version+1, d.note)
	n, err := d.writer.Change(ctx, d.note, d.version, last)
	if err != nil {
		return fmt.Errorf("change after the fault: %w", err)
	}
	d.acknowledged(n.Version, last)
	for {
		found, err := d.watcher.List(ctx, fmt.Sprintf("q=marker%d", d.version))
		if err != nil {
			return fmt.Errorf("search after the fault: %w", err)
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
		if pause(ctx, 20*time.Millisecond) != nil {
			d.lost.Add(1)
			return fmt.Errorf("note %s: at version %d, the watcher has seen %d and the search found it %d times", d.note, d.version, d.seen.Load(), hits)
		}
	}
}
