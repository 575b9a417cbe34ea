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

// recordEvery is how often metrics are written down.
const recordEvery = 2 * time.Second

// recorder writes the metrics of all services into a file for each scenario, for the alerts to be held against. Nil records nothing.
//
// The file is a sequence of blocks: a line "# scrape <milliseconds since 1970> <service> <process>", and the metrics as the service
// exposes them. A service that does not answer has a block without metrics.
type recorder struct{ dir string }

// follow records until what it returns is called.
func (r *recorder) follow(ctx context.Context, w *world, name string) (stop func()) {
	if r == nil {
		return func() {}
	}
	file, err := os.Create(filepath.Join(r.dir, strings.ReplaceAll(name, " ", "-")+".prom"))
	if err != nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		defer func() { _ = file.Close() }()
		for tick := time.NewTicker(recordEvery); ctx.Err() == nil; {
			for _, service := range w.Names("") {
				text, _ := w.scrape(ctx, service) // one that is away has nothing to say
				kind, _, _ := strings.Cut(service, "-")
				_, _ = fmt.Fprintf(file, "# scrape %d %s %s\n%s", time.Now().UnixMilli(), kind, service, text)
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return func() { cancel(); ended.Wait() }
}
