package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/controller"
)

// counting counts what the operator writes to the API server.
type counting struct {
	next   http.RoundTripper
	writes *atomic.Int64
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/token") && !strings.Contains(r.URL.Path, "/leases") {
		c.writes.Add(1)
	}
	return c.next.RoundTrip(r)
}

// runCounted is run with a count of the writes.
func (w *world) runCounted() (writes *atomic.Int64, stop func()) {
	w.Helper()
	writes = &atomic.Int64{}
	cluster := w.As("system:serviceaccount:" + home + ":" + account)
	cluster.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, writes} })
	s, err := New(w.Context(), w.cfg, cluster, newLog(&strings.Builder{}, 12))
	w.must(err)
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return writes, func() { cancel(); <-ended }
}

// BenchmarkSharedWorkspaces prints what the operator has to reach. The API server, etcd and the stand-in for the user service share the machine, and
// the last one the process:
//
//	make bench-operator
//
// FLEET is how many workspaces are at rest, 2000 if not set.
func BenchmarkSharedWorkspaces(b *testing.B) {
	for range b.N {
		w := startWorld(b, "ROUTE_KIND=none", "USAGE_INTERVAL=10s")
		writes, stop := w.runCounted()
		ready := w.watchReady()

		const measured, pause = 200, time.Second / 20
		var took []time.Duration
		var waiting sync.WaitGroup
		var mu sync.Mutex
		ticks := time.NewTicker(pause)
		for i := range measured {
			<-ticks.C
			waiting.Go(func() {
				began := time.Now()
				w.create(fmt.Sprintf("m%d", i))
				mu.Lock()
				defer mu.Unlock()
				took = append(took, ready.wait(fmt.Sprintf("m%d", i)).Sub(began))
			})
		}
		waiting.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms-p50")
		b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "ms-p99")

		fleet := measured
		_, _ = fmt.Sscan(os.Getenv("FLEET"), &fleet)
		if os.Getenv("FLEET") == "" {
			fleet = 2000
		}
		jobs := make(chan int)
		for range 8 {
			waiting.Go(func() {
				for i := range jobs {
					w.create(fmt.Sprintf("f%d", i))
				}
			})
		}
		for i := measured; i < fleet; i++ {
			jobs <- i
		}
		close(jobs)
		waiting.Wait()
		for i := measured; i < fleet; i++ {
			ready.wait(fmt.Sprintf("f%d", i))
		}
		settle := 2 * w.cfg.UsageInterval
		<-time.After(settle) // events are written behind
		b.ReportMetric(float64(writes.Load())/float64(fleet), "writes/workspace")

		before := writes.Load()
		<-time.After(settle)
		b.ReportMetric(float64(writes.Load()-before), "writes-at-rest")
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		b.ReportMetric(float64(memory.HeapAlloc>>20), "MiB-heap")
		b.ReportMetric(float64((memory.Sys-memory.HeapReleased)>>20), "MiB-process")

		stop()
		writes, stop = w.runCounted()
		<-time.After(3 * settle)
		b.ReportMetric(float64(writes.Load()), "writes-after-restart")
		stop()
	}
}

func (w *world) create(name string) {
	ws := &v1alpha1.NoteWorkspace{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.NoteWorkspaceSpec{Slug: name + "-" + w.namespace, Owner: v1alpha1.Owner{Email: "ann@example.org"}},
	}
	if err := w.Client.Create(w.Context(), ws); err != nil {
		w.Error(err)
	}
}

// readiness is when each workspace was seen to be ready.
type readiness struct {
	mu   sync.Mutex
	seen map[string]chan time.Time
}

func (r *readiness) of(name string) chan time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[name] == nil {
		r.seen[name] = make(chan time.Time, 1)
	}
	return r.seen[name]
}

func (r *readiness) wait(name string) time.Time { return <-r.of(name) }

func (w *world) watchReady() *readiness {
	w.Helper()
	r := &readiness{seen: map[string]chan time.Time{}}
	watching, err := client.NewWithWatch(w.Config, client.Options{Scheme: w.Client.Scheme()})
	w.must(err)
	stream, err := watching.Watch(w.Context(), &v1alpha1.NoteWorkspaceList{}, client.InNamespace(w.namespace))
	w.must(err)
	w.Cleanup(stream.Stop)
	go func() {
		for event := range stream.ResultChan() {
			ws, ok := event.Object.(*v1alpha1.NoteWorkspace)
			if !ok || event.Type == watch.Deleted {
				continue
			}
			if c := meta.FindStatusCondition(ws.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == controller.ReasonReady {
				select {
				case r.of(ws.Name) <- time.Now():
				default: // it is known
				}
			}
		}
	}()
	return r
}
