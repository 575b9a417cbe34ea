// Package world is the running stack as the load suite uses it: started fresh, with people in it, measured from outside, and with a way to the private
// PostgreSQL for what would take too long to write through the front door.
// Imports the wire, pgx and what signs tokens; of the program it knows the public API, the layout of its data directory, and its tables.
package world

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/local"
)

// Options are how a world is.
type Options struct {
	// Program is built once for all worlds.
	Program local.Program
	// Data is a directory that stays; empty for one that is made and removed.
	Data string
	// Log gets the log of the stack.
	Log io.Writer
	// Sampled is the share of traces that is recorded and exported, 0 to 1. Negative: tracing is off altogether.
	Sampled float64
	// Args are further arguments of the program.
	Args []string
}

// World is one running stack.
type World struct {
	*local.Stack
	// Spans is where its traces go.
	Spans *Sink

	dir       string
	temporary bool
	database  int // the postmaster's process id
	host      string
	met       atomic.Int64 // people that were made
}

// Start starts a stack and waits until it is idle.
func Start(ctx context.Context, o Options) (*World, error) {
	w := &World{dir: o.Data}
	if o.Data == "" {
		dir, err := os.MkdirTemp("", "noteworks-load-")
		if err != nil {
			return nil, err
		}
		w.dir, w.temporary = filepath.Join(dir, "data"), true
		if err := os.Chmod(dir, 0o755); err != nil { // the private PostgreSQL of root runs as somebody else
			return nil, err
		}
	}
	if err := w.start(ctx, o); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *World) start(ctx context.Context, o Options) error {
	var err error
	if w.Spans, err = NewSink(); err != nil {
		return err
	}
	program := o.Program
	if o.Sampled >= 0 {
		program = program.With("OTEL_EXPORTER_OTLP_ENDPOINT="+w.Spans.URL(),
			"OTEL_TRACES_SAMPLER=parentbased_traceidratio", fmt.Sprintf("OTEL_TRACES_SAMPLER_ARG=%g", o.Sampled))
	}
	if w.Stack, err = program.Start(ctx, w.dir, o.Log, o.Args...); err != nil {
		return err
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		return err
	}
	w.host = u.Host
	servers := measure.Children(w.PID(), "postgres")
	if len(servers) != 1 {
		return fmt.Errorf("the stack has %d PostgreSQL servers, not one", len(servers))
	}
	w.database = servers[0]
	return w.Settle(ctx)
}

// Settle waits until the stack has been idle for a second, so that work that was left over is not counted; half a minute at most.
func (w *World) Settle(ctx context.Context) error {
	const idle = 100 * time.Millisecond
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := w.Usage().Total()
	for range 30 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := w.Usage().Total()
		if now-last < idle {
			return nil
		}
		last = now
	}
	return nil
}

// Addr is where the public door is, and Host what its requests name.
func (w *World) Addr() string {
	_, port, _ := net.SplitHostPort(w.host) // an address with a port, as the program printed it
	return net.JoinHostPort("127.0.0.1", port)
}

// Host is the Host header of the default workspace; that of others begins with their slug.
func (w *World) Host() string { return w.host }

// Usage is what the processes have used.
type Usage struct{ Allinone, Database, Generator measure.Usage }

// Total is the CPU of all but the generator.
func (u Usage) Total() time.Duration { return u.Allinone.CPU + u.Database.CPU }

// Sub is what was used since.
func (u Usage) Sub(since Usage) Usage {
	return Usage{u.Allinone.Sub(since.Allinone), u.Database.Sub(since.Database), u.Generator.Sub(since.Generator)}
}

// Less is without what would have been used anyway, perSecond, in that time.
func (u Usage) Less(perSecond Usage, during time.Duration) Usage {
	less := func(of, by measure.Usage) measure.Usage {
		of.CPU -= time.Duration(during.Seconds() * float64(by.CPU))
		return of
	}
	return Usage{less(u.Allinone, perSecond.Allinone), less(u.Database, perSecond.Database), less(u.Generator, perSecond.Generator)}
}

// Usage reads what each process has used: the program, the tree of its private PostgreSQL, and this one.
func (w *World) Usage() Usage {
	return Usage{Allinone: measure.Process(w.PID()), Database: measure.Tree(w.database), Generator: measure.Process(os.Getpid())}
}

// Close ends the stack and removes its data unless it was to stay.
func (w *World) Close() {
	if w.Stack != nil {
		if w.temporary {
			w.Kill()
		} else {
			_, _ = w.Stop() // nothing was acknowledged that could be lost
		}
	}
	if w.Spans != nil {
		w.Spans.Close()
	}
	if w.temporary {
		_ = os.RemoveAll(filepath.Dir(w.dir))
	}
}

// Dir is where the stack keeps its data.
func (w *World) Dir() string { return w.dir }

// DatabasePID is the process id of the private PostgreSQL.
func (w *World) DatabasePID() int { return w.database }
