package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"noteworks.dev/test/client"
	"noteworks.dev/test/local"
)

type options struct {
	rate, sockets    int
	warmup, duration time.Duration
	verbose          bool
}

func (o options) log(dir string) (io.Writer, error) {
	if o.verbose {
		return os.Stderr, nil
	}
	return os.Create(dir + "/log")
}

// pair is one note, the person who changes it and the person who watches it.
type pair struct {
	writer *client.Client
	live   *client.Live
	note   string

	due     chan time.Time
	version int // of the writer, after the last answer

	seen     int // version the watcher saw last
	lost     int
	inverted int
}

type crowd struct {
	pairs []*pair
	begin time.Time // counting begins here

	mu        sync.Mutex
	answers   *hdrhistogram.Histogram // intended send time to the answer, µs
	screens   *hdrhistogram.Histogram // intended send time to the other person's frame, µs
	sent      atomic.Int64
	delivered atomic.Int64
	failed    atomic.Int64
	firstErr  error
}

// gather signs the people up, writes and shares the notes and opens the sockets.
func gather(ctx context.Context, s *local.Stack, o options) (*crowd, error) {
	c := &crowd{
		pairs:   make([]*pair, o.sockets),
		answers: hdrhistogram.New(1, 60_000_000, 3),
		screens: hdrhistogram.New(1, 60_000_000, 3),
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	var g errgroup.Group
	g.SetLimit(8)
	for i := range c.pairs {
		g.Go(func() error {
			p, err := meet(ctx, s.URL, transport, i)
			c.pairs[i] = p
			return err
		})
	}
	return c, g.Wait()
}

func meet(ctx context.Context, base string, transport http.RoundTripper, i int) (*pair, error) {
	const password = "correct horse battery staple"
	p := &pair{writer: client.New(base, transport), due: make(chan time.Time, 1<<14)}
	watcher := client.New(base, transport)
	if err := p.writer.Register(ctx, fmt.Sprintf("writer%d@example.com", i), fmt.Sprintf("Writer %d", i), password); err != nil {
		return nil, err
	}
	if err := watcher.Register(ctx, fmt.Sprintf("watcher%d@example.com", i), fmt.Sprintf("Watcher %d", i), password); err != nil {
		return nil, err
	}
	n, err := p.writer.Create(ctx, "Load", "0")
	if err != nil {
		return nil, err
	}
	if err := p.writer.Share(ctx, n.ID, watcher.User().ID, "viewer"); err != nil {
		return nil, err
	}
	p.note, p.version, p.seen = n.ID, n.Version, n.Version
	p.live, err = watcher.Watch(ctx, "")
	return p, err
}

func (c *crowd) leave() {
	for _, p := range c.pairs {
		p.live.Close()
	}
}

// run sends for warm-up and duration, then waits until everything that was answered has been seen, 10 s at most.
func (c *crowd) run(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	c.begin = start.Add(o.warmup)
	var writers, watchers sync.WaitGroup
	for _, p := range c.pairs {
		writers.Go(func() { c.write(ctx, p) })
		watchers.Go(func() { c.watch(ctx, p) })
	}
	c.send(ctx, start, o)
	writers.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for c.delivered.Load() < c.sent.Load() && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	c.leave()
	watchers.Wait()
	return c.firstErr
}

// send hands out the intended times, round robin over the notes.
func (c *crowd) send(ctx context.Context, start time.Time, o options) {
	gap := time.Second / time.Duration(o.rate)
	total := int((o.warmup + o.duration) / gap)
	for i := range total {
		at := start.Add(time.Duration(i) * gap)
		if wait := time.Until(at); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			break
		}
		c.pairs[i%len(c.pairs)].due <- at
	}
	for _, p := range c.pairs {
		close(p.due)
	}
}

func (c *crowd) write(ctx context.Context, p *pair) {
	filler := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 10)
	for at := range p.due {
		n, err := p.writer.Change(ctx, p.note, p.version, strconv.FormatInt(at.UnixNano(), 10)+" "+filler)
		if err != nil {
			c.fail(fmt.Errorf("change: %w", err))
			continue
		}
		p.version = n.Version
		c.sent.Add(1)
		c.record(c.answers, at)
	}
}

func (c *crowd) watch(ctx context.Context, p *pair) {
	for {
		f, err := p.live.Next(ctx)
		if err != nil {
			return
		}
		if f.Type == "resync" {
			c.fail(fmt.Errorf("the live socket of a steady reader was told to resync"))
		}
		if f.Event != "note.v1.NoteChanged" {
			continue
		}
		fact, err := f.Fact()
		if err != nil {
			c.fail(err)
			continue
		}
		stamp, _, _ := strings.Cut(fact.Body, " ")
		nanos, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil {
			c.fail(fmt.Errorf("a change came without its body: %w", err))
			continue
		}
		switch {
		case fact.Version <= p.seen:
			p.inverted++
		default:
			p.lost += fact.Version - p.seen - 1
			p.seen = fact.Version
		}
		c.delivered.Add(1)
		c.record(c.screens, time.Unix(0, nanos))
	}
}

func (c *crowd) record(h *hdrhistogram.Histogram, from time.Time) {
	if from.Before(c.begin) {
		return
	}
	took := time.Since(from).Microseconds()
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = h.RecordValue(max(1, took)) // over 60 s is a lost change and fails the verdict
}

func (c *crowd) fail(err error) {
	c.failed.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firstErr == nil {
		c.firstErr = err
	}
}
