package crew

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"noteworks.dev/test/client"
	"noteworks.dev/test/faults/history"
)

// Pace is how much work there is.
type Pace struct {
	// Notes have two writers each, who change them about so often.
	Notes int
	Every time.Duration
}

// patience bounds everything that has to happen once the stack serves again.
const patience = 30 * time.Second

// Shift is a crew at work.
type Shift struct {
	History *history.History
	Notes   []string

	crew  *Crew
	pace  Pace
	began time.Time

	stopWriting, stopAll context.CancelFunc
	writing, all         sync.WaitGroup
	readers              []*reader

	mu       sync.Mutex
	versions map[string]int // the newest that anybody was told of
	marked   map[string]int // the last version of each note
}

// Begin makes notes, shares them and begins to work on them. The seed chooses the moments. It ends by End, which must be called.
func (c *Crew) Begin(ctx context.Context, seed uint64, pace Pace) (*Shift, error) {
	s := &Shift{History: history.New(), crew: c, pace: pace, began: time.Now(), versions: map[string]int{}, marked: map[string]int{}}
	setup, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range pace.Notes {
		if err := s.makeNote(setup, i); err != nil {
			return nil, fmt.Errorf("set up: %w", err)
		}
	}
	ctx, s.stopAll = context.WithCancel(ctx)
	for name, p := range map[string]*Person{"cat": c.Cat, "bob": c.Bob} {
		r := &reader{shift: s, person: p, name: name, skip: map[string]int{}}
		if err := r.open(setup); err != nil {
			s.stopAll()
			return nil, fmt.Errorf("set up the reader %s: %w", name, err)
		}
		s.readers = append(s.readers, r)
		s.all.Go(func() { r.follow(ctx) })
	}
	s.work(ctx, seed)
	return s, nil
}

func (s *Shift) makeNote(ctx context.Context, i int) error {
	n, err := s.crew.Ann.Create(ctx, fmt.Sprintf("Note %d", i), "begin")
	if client.StatusOf(err) == 401 {
		s.crew.Ann.Renew(ctx)
		n, err = s.crew.Ann.Create(ctx, fmt.Sprintf("Note %d", i), "begin")
	}
	if err != nil {
		return err
	}
	for p, role := range map[*Person]string{s.crew.Bob: "editor", s.crew.Cat: "viewer"} {
		if err := until(ctx, func() error { return s.crew.Ann.Share(ctx, n.ID, p.User().ID, role) }); err != nil {
			return err
		}
	}
	now, err := s.crew.Ann.Note(ctx, n.ID)
	if err != nil {
		return err
	}
	s.Notes = append(s.Notes, n.ID)
	s.versions[n.ID] = now.Version
	s.History.Began(n.ID, now.Version, now.Body)
	return nil
}

// work sets everybody to work.
func (s *Shift) work(ctx context.Context, seed uint64) {
	writing, stop := context.WithCancel(ctx)
	s.stopWriting = stop
	number := 0
	next := func() (int, *rand.Rand) {
		number++
		return number, rand.New(rand.NewPCG(seed, uint64(number))) //nolint:gosec // it is to be repeated
	}
	for _, note := range s.Notes {
		for _, p := range []*Person{s.crew.Ann, s.crew.Bob} {
			id, random := next()
			w := &writer{shift: s, person: p, note: note, id: id, random: random}
			s.writing.Go(func() { w.write(writing) })
		}
	}
	id, random := next()
	s.writing.Go(func() { s.lookAround(writing, id, random) })
	s.all.Go(func() { s.stranger(ctx) })
	s.all.Go(func() { s.overhear(ctx) })
}

// Now is the moment on the history's clock.
func (s *Shift) Now() time.Duration { return time.Since(s.began) }

func (s *Shift) told(note string, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[note] = max(s.versions[note], version)
}

func (s *Shift) version(note string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[note]
}

// Steady waits until each note has had a change that began after since, was acknowledged and was shown to every reader, and returns when that was.
func (s *Shift) Steady(ctx context.Context, since time.Duration) (time.Duration, error) {
	for {
		began := time.Now()
		at, missing := s.steady(since)
		if missing == "" {
			return at, nil
		}
		// After a long fault there is much to look through, and what is looked at needs the processors: it is for a tenth of the time only.
		if err := pause(ctx, max(50*time.Millisecond, 9*time.Since(began))); err != nil {
			return s.Now(), fmt.Errorf("no steady state: %s", missing)
		}
	}
}

type seen struct {
	reader, note string
	version      int
}

func (s *Shift) steady(since time.Duration) (at time.Duration, missing string) {
	frames := map[seen]time.Duration{}
	for _, f := range s.History.Frames() {
		if f.At >= since {
			frames[seen{f.Reader, f.Note, f.Version}] = f.At
		}
	}
	first := map[string]time.Duration{} // by note, when a change was seen by all
	written := map[string]bool{}
	for _, w := range s.History.Writes() {
		if w.Begin < since || w.Outcome != history.Acknowledged {
			continue
		}
		written[w.Note] = true
		if _, done := first[w.Note]; done {
			continue
		}
		if when, all := s.seenByAll(frames, w); all {
			first[w.Note] = when
		}
	}
	for _, note := range s.Notes {
		when, done := first[note]
		switch {
		case !written[note]:
			return 0, "no change of note " + note + " was acknowledged"
		case !done:
			return 0, "no change of note " + note + " was shown to every reader"
		}
		at = max(at, when)
	}
	return at, ""
}

func (s *Shift) seenByAll(frames map[seen]time.Duration, w history.Write) (time.Duration, bool) {
	latest := w.End
	for _, r := range s.readers {
		at, is := frames[seen{r.name, w.Note, w.Version}]
		if !is {
			return 0, false
		}
		latest = max(latest, at)
	}
	return latest, true
}

// End lets everybody finish, writes a last time to each note, and waits until readers and search have seen that. What they have not seen within
// 30 s is in the history; the error is of people who could not do it.
func (s *Shift) End(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	s.stopWriting()
	s.writing.Wait()
	defer func() {
		s.stopAll()
		s.all.Wait()
	}()
	for _, note := range s.Notes {
		if err := s.mark(ctx, note); err != nil {
			return fmt.Errorf("the last change of note %s: %w", note, err)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, r := range s.readers {
		r.await(waiting, s.marked) // what is missing is found in the history
	}
	for _, note := range s.Notes {
		s.search(waiting, note)
	}
	return nil
}

// mark writes to a note until that is acknowledged, and reads it.
func (s *Shift) mark(ctx context.Context, note string) error {
	w := &writer{shift: s, person: s.crew.Ann, note: note}
	if err := until(ctx, func() error {
		version := s.version(note)
		done := w.change(ctx, version, s.marker(note, version+1))
		if done.Outcome == history.Acknowledged {
			s.marked[note] = done.Version
			return nil
		}
		_, err := w.look(ctx)
		if err == nil {
			err = fmt.Errorf("status %d", done.Status)
		}
		return err
	}); err != nil {
		return err
	}
	return until(ctx, func() error { _, err := w.look(ctx); return err })
}

func (s *Shift) marker(note string, version int) string {
	return fmt.Sprintf("marker%dof%s", version, note[len(note)-12:])
}

// search waits until the last change of a note is found, once.
func (s *Shift) search(ctx context.Context, note string) {
	word, hits := s.marker(note, s.marked[note]), 0
	err := until(ctx, func() error {
		found, err := s.crew.Cat.List(ctx, "q="+word)
		if err != nil {
			return err
		}
		if hits = len(found); hits == 0 {
			return fmt.Errorf("%s is not found", word)
		}
		return nil
	})
	if err != nil || hits != 1 {
		s.History.Missing(fmt.Sprintf("the search finds the last change of note %s %d times: %v", note, hits, err))
	}
}
