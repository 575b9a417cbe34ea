package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"noteworks.dev/test/faults/crew"
	"noteworks.dev/test/faults/link"
	"noteworks.dev/test/local"
)

// startPatience bounds the start of a whole stack on a busy machine.
const startPatience = 90 * time.Second

// otherWorkspace is where the stranger is.
const otherWorkspace = "other"

// world is one running stack with a link between every two parts, and its crew.
type world struct {
	*local.Spread
	dir   string
	links *link.Links
	logs  *logs
	crew  *crew.Crew
	shape local.SpreadOptions

	jaeger *local.Jaeger // nil: spans go nowhere, or to somebody else
}

// newWorld starts a stack. shape, if there is one, changes what it is made of.
func newWorld(ctx context.Context, programs local.Programs, shape func(*world, *local.SpreadOptions) error) (*world, error) {
	dir, err := os.MkdirTemp("", "noteworks-faults-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // root's PostgreSQL runs as somebody else
		return nil, err
	}
	w := &world{dir: dir, links: link.New()}
	if w.logs, err = openLogs(filepath.Join(dir, "logs")); err != nil {
		return nil, err
	}
	o := local.SpreadOptions{
		Dir: dir, Notes: 2, Gateways: 2, NATS: 1, Via: w.links.Via, Log: func(process string) io.Writer { return w.logs.of(process) },
		Settings: map[string]string{"LOG_LEVEL": "info", "NATS_STREAM_MAX_BYTES": "2147483648"},
		Of:       map[string]map[string]string{},
	}
	if shape != nil {
		if err := shape(w, &o); err != nil {
			w.close()
			return nil, err
		}
	}
	w.shape = o
	if w.Spread, err = programs.New(o); err != nil {
		w.close()
		return nil, err
	}
	if err := w.begin(ctx); err != nil {
		tail := w.logs.tail()
		w.close()
		return nil, fmt.Errorf("start the stack: %w\n%s", err, tail)
	}
	return w, nil
}

func (w *world) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := w.Start(ctx); err != nil {
		return err
	}
	if err := w.ApplyWorkspaces(otherWorkspace); err != nil {
		return err
	}
	var err error
	w.crew, err = crew.Hire(ctx, w.URL(), w.WorkspaceURL(otherWorkspace))
	return err
}

func (w *world) close() {
	if w.Spread != nil {
		w.Stop()
	}
	if w.jaeger != nil {
		w.jaeger.Kill()
	}
	w.links.Close()
	w.logs.close()
	_ = os.RemoveAll(w.dir)
}
