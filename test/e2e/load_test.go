//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"noteworks.dev/test/client"
)

// load is people at work who never have to try anything twice. Half of them keep their connection, the others open one for each request,
// which each may go to another pod.
type load struct {
	stop  context.CancelFunc
	ended sync.WaitGroup

	requests, failed atomic.Int64

	mu       sync.Mutex
	failures []failure // the first ones
	slowest  time.Duration
}

// failure is a request that failed.
type failure struct {
	began time.Time
	what  string
}

const (
	// keptFailures is how many failures a load keeps, and toldFailures how many it describes.
	keptFailures = 200
	toldFailures = 20
)

// startLoad lets people work, all of them together at the given requests a second, until end.
func startLoad(t *testing.T, s *stack, people, rate int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	t.Cleanup(l.end)
	base, name := s.gateway(t), strings.ToLower(rand.Text()[:6])
	workers := make([]*worker, people)
	for i := range workers {
		transport := client.Loopback()
		transport.DisableKeepAlives = i%2 == 1
		w := &worker{Client: client.New(base, &onlyOnce{next: transport}), load: l, email: fmt.Sprintf("load-%s-%d@example.com", name, i)}
		must(t, w.Register(ctx, w.email, fmt.Sprintf("Load %d", i), password))
		var err error
		w.note, err = w.Create(ctx, "Load", "begin")
		must(t, err)
		workers[i] = w
	}
	pause := time.Duration(people) * time.Second / time.Duration(rate)
	for _, w := range workers {
		l.ended.Go(func() { w.work(ctx, pause) })
	}
	return l
}

func (l *load) end() {
	l.stop()
	l.ended.Wait()
}

// reach waits until n requests have been made.
func (l *load) reach(t *testing.T, n int64) {
	t.Helper()
	eventually(t, 3*time.Minute, fmt.Sprintf("%d requests", n), func(context.Context) error {
		if made := l.requests.Load(); made < n {
			return fmt.Errorf("only %d", made)
		}
		return nil
	})
}

// requireNoneFailed fails t with the first failures.
func (l *load) requireNoneFailed(t *testing.T) {
	t.Helper()
	if failures := l.since(time.Time{}); len(failures) > 0 {
		t.Errorf("%d of %d requests failed; the first:\n%s", l.failed.Load(), l.requests.Load(), told(failures))
	}
}

// since are the failures of requests that began after a time, in the order in which they began.
func (l *load) since(after time.Time) []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	failures := slices.DeleteFunc(slices.Clone(l.failures), func(f failure) bool { return f.began.Before(after) })
	slices.SortFunc(failures, func(a, b failure) int { return a.began.Compare(b.began) })
	return failures
}

func told(failures []failure) string {
	var lines []string
	for _, f := range failures[:min(len(failures), toldFailures)] {
		lines = append(lines, f.began.Format("15:04:05.000 ")+f.what)
	}
	return strings.Join(lines, "\n")
}

func (l *load) record(what string, began time.Time, err error) {
	l.requests.Add(1)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	if err == nil {
		return
	}
	l.failed.Add(1)
	if len(l.failures) < keptFailures {
		l.failures = append(l.failures, failure{began, fmt.Sprintf("%s after %v: %v", what, took.Round(time.Millisecond), err)})
	}
}

// worker is one person of a load.
type worker struct {
	*client.Client
	load  *load
	email string
	note  client.Note
}

// work goes through what people do, one request after the other. A request that the end of the load finds under way is finished.
func (w *worker) work(ctx context.Context, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	doing := context.WithoutCancel(ctx)
	do := func(what string, request func() error) {
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		w.load.record(what, began, request())
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	for turn := 0; ctx.Err() == nil; turn++ {
		do("read", func() error { return w.read(doing) })
		do("change", func() error { return w.change(doing, turn) })
		do("list", func() error { _, err := w.List(doing, "limit=10"); return err })
		do("find", func() error { _, err := w.Find(doing, w.email); return err })
		do("me", func() error { _, err := w.Do(doing, http.MethodGet, "/api/v1/me", nil, nil, nil); return err })
	}
}

// read has the next change begin from what is stored: of one whose answer was lost nobody else knows whether it is.
func (w *worker) read(ctx context.Context) error {
	n, err := w.Note(ctx, w.note.ID)
	if err == nil {
		w.note = n
	}
	return err
}

func (w *worker) change(ctx context.Context, turn int) error {
	n, err := w.Change(ctx, w.note.ID, w.note.Version, fmt.Sprintf("turn %d", turn))
	if err == nil {
		w.note = n
	}
	return err
}

// errRetried is the failure of a request that net/http had to send again, which it hides otherwise.
var errRetried = errors.New("the connection was lost before the answer and the request sent once more")

// onlyOnce fails requests that did not succeed at the first try.
type onlyOnce struct{ next http.RoundTripper }

func (o *onlyOnce) RoundTrip(r *http.Request) (*http.Response, error) {
	var connections atomic.Int32
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections.Add(1) }}
	resp, err := o.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err == nil && connections.Load() > 1 {
		_ = resp.Body.Close()
		return nil, errRetried
	}
	return resp, err
}
