package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// recordEvery is how often metrics are written down.
	recordEvery = 2 * time.Second
	// recordAfter is work after the steady state while metrics are written down, for alerts to clear in.
	recordAfter = 30 * time.Second
)

// recorder writes the metrics of all services into a file for each scenario, which tools/monitoring holds the alerts against. Nil records nothing.
//
// The file says in lines that begin with "# " which fault it is of ("fault"), which alerts belong to it ("fire", "may") and when it was broken
// and healed ("begins", "ends", in milliseconds since 1970). The rest are blocks: a line "# scrape <milliseconds since 1970> <service> <process>",
// and the metrics as the service exposes them. A service that does not answer has a block without metrics.
type recorder struct{ dir string }

// recording is what is being written. Nil takes everything and keeps nothing.
type recording struct {
	file   *os.File
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// follow records until the recording is stopped.
func (r *recorder) follow(ctx context.Context, w *world, name string) (*recording, error) {
	if r == nil {
		return nil, nil
	}
	file, err := os.Create(filepath.Join(r.dir, strings.ReplaceAll(name, " ", "-")+".prom"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	rec := &recording{file: file, cancel: cancel}
	alerts := alertings()[name]
	_, _ = fmt.Fprintf(file, "# fault %s\n# fire %s\n# may %s\n", name, strings.Join(alerts.fire, " "), strings.Join(alerts.may, " "))
	rec.ended.Go(func() {
		for tick := time.NewTicker(recordEvery); ctx.Err() == nil; {
			rec.scrapes(ctx, w)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return rec, nil
}

// scrapes writes down what all services answer.
func (r *recording) scrapes(ctx context.Context, w *world) {
	for _, service := range w.Names("") {
		text, _ := w.scrape(ctx, service) // one that is away has nothing to say
		if ctx.Err() != nil {
			return // nobody was away
		}
		kind, _, _ := strings.Cut(service, "-")
		_, _ = fmt.Fprintf(r.file, "# scrape %d %s %s\n%s", time.Now().UnixMilli(), kind, service, text)
	}
}

// mark writes down that something happens now.
func (r *recording) mark(what string) {
	if r != nil {
		_, _ = fmt.Fprintf(r.file, "# %s %d\n", what, time.Now().UnixMilli())
	}
}

// stop ends it, and says whether all of it is on disk.
func (r *recording) stop() error {
	if r == nil {
		return nil
	}
	r.cancel()
	r.ended.Wait()
	return r.file.Close()
}
