// Package recording writes down what the processes of a stack say of themselves while a fault is played, for tools/monitoring to hold the alerts against it.
//
// A recording is a file. It says in lines that begin with "# " which fault it is of ("fault"), the chart whose alerts it is about ("chart"), which of them
// belong to the fault ("fire", "may") and when it was broken and healed ("begins", "ends", in milliseconds since 1970). The rest are blocks: a line
// "# scrape <milliseconds since 1970> <service> <process>", and the metrics as the process exposes them. A process that does not answer has a block without metrics.
//
// Test-only.
package recording

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Every is how often metrics are written down, and After how long after the steady state, for alerts to clear in.
const (
	Every = 2 * time.Second
	After = 30 * time.Second
)

// Fault says what a recording is of.
type Fault struct {
	Name, Chart string
	// Fire are the alerts that belong to it: they fire while it lasts, and are silent again after it. May are those that it has as further consequences,
	// depending on the moment. Any other one has no business there.
	Fire, May []string
}

// Recording is what is being written. Its methods may be called by any goroutine.
type Recording struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first that writing had
}

// Begin begins the fault's recording, in dir.
func Begin(dir string, f Fault) (*Recording, error) {
	file, err := os.Create(filepath.Join(dir, strings.ReplaceAll(f.Name, " ", "-")+".prom"))
	if err != nil {
		return nil, err
	}
	r := &Recording{file: file}
	r.write("# fault %s\n# chart %s\n# fire %s\n# may %s\n", f.Name, f.Chart, strings.Join(f.Fire, " "), strings.Join(f.May, " "))
	return r, nil
}

// Begins writes down that it is broken from now on.
func (r *Recording) Begins() { r.write("# begins %d\n", time.Now().UnixMilli()) }

// Ends writes down that it is healed from now on.
func (r *Recording) Ends() { r.write("# ends %d\n", time.Now().UnixMilli()) }

// Scrape writes down what a process of a service has answered just now, nothing if it did not.
func (r *Recording) Scrape(service, process, metrics string) {
	r.write("# scrape %d %s %s\n%s", time.Now().UnixMilli(), service, process, metrics)
}

func (r *Recording) write(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := fmt.Fprintf(r.file, format, args...); r.err == nil {
		r.err = err
	}
}

// Close ends it. Its error says that something is missing.
func (r *Recording) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.err, r.file.Close())
}
