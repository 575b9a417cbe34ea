package crew

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"noteworks.dev/test/client"
	"noteworks.dev/test/faults/history"
)

// reader follows the live socket of one person, and comes back with the last cursor when it breaks, as a browser does.
type reader struct {
	shift  *Shift
	person *Person
	name   string
	live   *client.Live
	cursor string
	skip   map[string]int // up to this version a note is known without having been shown

	mu    sync.Mutex
	shown map[string]int
}

// open opens the first socket, from which on nothing may be missed.
func (r *reader) open(ctx context.Context) error {
	r.shown = map[string]int{}
	if err := until(ctx, func() error { return r.dial(ctx) }); err != nil {
		return err
	}
	for _, note := range r.shift.Notes {
		version := r.shift.version(note)
		r.shift.History.Follows(r.name, note, version)
		r.skip[note] = version // the shares, which may still be on their way
	}
	return nil
}

func (r *reader) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	live, err := r.person.Watch(ctx, r.cursor)
	if _, refused := errors.AsType[*client.Refused](err); refused {
		r.person.Renew(ctx)
	}
	if err != nil {
		return err
	}
	r.live = live
	if r.cursor == "" {
		r.cursor = live.Ready
	}
	return nil
}

func (r *reader) follow(ctx context.Context) {
	for ctx.Err() == nil {
		release := context.AfterFunc(ctx, r.live.Close)
		r.read(ctx)
		release()
		r.live.Close()
		_ = until(ctx, func() error { return r.dial(ctx) }) // until the end
	}
	r.live.Close()
}

// Silence is how long a socket may be without a frame before it is opened anew: a browser, too, finds out by its own pings that nobody is there.
const Silence = 15 * time.Second

// read takes frames until the socket breaks.
func (r *reader) read(ctx context.Context) {
	for {
		waiting, cancel := context.WithTimeout(ctx, Silence)
		f, err := r.live.Next(waiting)
		cancel()
		switch {
		case err != nil:
			return
		case f.Type == "resync":
			r.startAnew(ctx)
		case f.Type == "event":
			r.cursor = f.Cursor
			r.show(f)
		}
	}
}

// startAnew reads all notes: the gateway can not tell what has happened since the cursor.
func (r *reader) startAnew(ctx context.Context) {
	r.shift.History.Resync(r.name)
	for _, note := range r.shift.Notes {
		_ = until(ctx, func() error { // until the end
			version, err := r.shift.look(ctx, r.person, note, 2000)
			if err != nil {
				return err
			}
			r.skip[note] = version
			r.shift.History.Follows(r.name, note, version)
			r.has(note, version)
			return nil
		})
	}
}

func (r *reader) show(f client.Frame) {
	if f.Event != "note.v1.NoteChanged" {
		return
	}
	fact, err := f.Fact()
	if err != nil || !slices.Contains(r.shift.Notes, fact.NoteID) || fact.Version <= r.skip[fact.NoteID] {
		return
	}
	r.shift.History.Saw(history.Frame{Reader: r.name, Note: fact.NoteID, At: r.shift.Now(), Version: fact.Version, Body: fact.Body})
	r.has(fact.NoteID, fact.Version)
}

func (r *reader) has(note string, version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown[note] = max(r.shown[note], version)
}

// await waits until the reader has been shown all these versions.
func (r *reader) await(ctx context.Context, versions map[string]int) {
	for {
		r.mu.Lock()
		behind := false
		for note, version := range versions {
			behind = behind || r.shown[note] < version
		}
		r.mu.Unlock()
		if !behind || pause(ctx, 20*time.Millisecond) != nil {
			return
		}
	}
}

// stranger asks for the notes again and again, from another workspace and with the other workspace's token.
func (s *Shift) stranger(ctx context.Context) {
	outside := client.New(s.crew.Ann.Base(), nil)
	for i := 0; ctx.Err() == nil; i++ {
		note := s.Notes[i%len(s.Notes)]
		if n, err := s.crew.Eve.Note(ctx, note); err == nil {
			s.History.Foreign("eve read note " + n.ID)
		} else if client.StatusOf(err) == 401 {
			s.crew.Eve.Renew(ctx)
		}
		var n client.Note
		header := map[string][]string{"Authorization": {"Bearer " + s.crew.Eve.Token()}}
		if _, err := outside.Do(ctx, "GET", "/api/v1/notes/"+note, header, nil, &n); err == nil {
			s.History.Foreign("eve read note " + n.ID + " at the other workspace's address")
		}
		_ = pause(ctx, 200*time.Millisecond+rand.N(200*time.Millisecond))
	}
}

// overhear holds a socket at the other workspace, where nothing happens.
func (s *Shift) overhear(ctx context.Context) {
	for ctx.Err() == nil {
		live, err := s.crew.Eve.Watch(ctx, "")
		if err != nil {
			if _, refused := errors.AsType[*client.Refused](err); refused {
				s.crew.Eve.Renew(ctx)
			}
			_ = pause(ctx, 200*time.Millisecond)
			continue
		}
		for {
			f, err := live.Next(ctx)
			if err != nil {
				break
			}
			if f.Type == "event" {
				s.History.Foreign("eve was shown " + f.Event)
			}
		}
		live.Close()
	}
}
