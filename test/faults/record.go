package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"noteworks.dev/test/recording"
)

// recorder writes the metrics of all services into a recording for each scenario. Nil records nothing.
type recorder struct{ dir string }

// following is what is being written. Nil writes nothing.
type following struct {
	*recording.Recording
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// follow records until it is stopped.
func (r *recorder) follow(ctx context.Context, w *world, name string) (*following, error) {
	if r == nil {
		return nil, nil
	}
	alerts := alertings()[name]
	rec, err := recording.Begin(r.dir, recording.Fault{Name: name, Chart: "noteworks", Fire: alerts.fire, May: alerts.may})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &following{Recording: rec, cancel: cancel}
	f.ended.Go(func() {
		for tick := time.NewTicker(recording.Every); ctx.Err() == nil; {
			f.scrapes(ctx, w)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return f, nil
}

// scrapes writes down what all services answer.
func (f *following) scrapes(ctx context.Context, w *world) {
	for _, process := range w.Names("") {
		text, _ := w.scrape(ctx, process) // one that is away has nothing to say
		if ctx.Err() != nil {
			return // nobody was away
		}
		service, _, _ := strings.Cut(process, "-")
		f.Scrape(service, process, text)
	}
	if w.jaeger != nil {
		text, _ := scrapeAt(ctx, w.jaeger.Metrics)
		f.Scrape("jaeger", "jaeger", text)
	}
}

// stop ends it, and says whether all of it is on disk.
func (f *following) stop() error {
	if f == nil {
		return nil
	}
	f.cancel()
	f.ended.Wait()
	return f.Close()
}
