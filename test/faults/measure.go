package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// reading is what a service says of itself: metrics by name.
type reading map[string]*dto.MetricFamily

// scrape reads the metrics of a service; the text is as it came.
func (w *world) scrape(ctx context.Context, name string) (text string, err error) {
	return scrapeAt(ctx, w.Metrics(name))
}

func scrapeAt(ctx context.Context, url string) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func (w *world) read(ctx context.Context, name string) (reading, error) {
	return readAt(ctx, w.Metrics(name))
}

func readAt(ctx context.Context, url string) (reading, error) {
	text, err := scrapeAt(ctx, url)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	return families, err
}

// sum is the sum of a metric's series that have all the labels ("stream=note"); a histogram counts by its number of observations.
func (r reading) sum(name string, labels ...string) float64 {
	total := 0.0
	for _, m := range r[name].GetMetric() {
		if !hasAll(m, labels) {
			continue
		}
		total += m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return total
}

func hasAll(m *dto.Metric, labels []string) bool {
	for _, wanted := range labels {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName()+"="+l.GetValue() == wanted
		}
		if !found {
			return false
		}
	}
	return true
}

// metric reads one sum of one service.
func (w *world) metric(ctx context.Context, service, name string, labels ...string) (float64, error) {
	r, err := w.read(ctx, service)
	if err != nil {
		return 0, err
	}
	if _, there := r[name]; !there {
		return 0, fmt.Errorf("%s does not expose %s", service, name)
	}
	return r.sum(name, labels...), nil
}

// total reads one sum of all services of a kind.
func (w *world) total(ctx context.Context, kind, name string) (all float64, err error) {
	for _, service := range w.Names(kind) {
		v, err := w.metric(ctx, service, name)
		if err != nil {
			return 0, err
		}
		all += v
	}
	return all, nil
}

// eventually waits until a sum of a service's is as wanted.
func (w *world) eventually(ctx context.Context, service, name string, wanted func(float64) bool, labels ...string) error {
	for {
		v, err := w.metric(ctx, service, name, labels...)
		if err == nil && wanted(v) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s of %s stays %v (%w)", name, service, v, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// size is what a process holds.
type size struct {
	pid                    int
	goroutines, bytes, fds float64
}

// measure is the size of each service that runs.
func (w *world) measure(ctx context.Context) map[string]size {
	all := map[string]size{}
	for _, name := range w.Names("") {
		if r, err := w.read(ctx, name); err == nil {
			all[name] = size{w.Process(name).PID(), r.sum("go_goroutines"), r.sum("process_resident_memory_bytes"), r.sum("process_open_fds")}
		}
	}
	return all
}

const (
	// slack is how many more goroutines and files a service may have after a round than before: connections that are kept for the next one.
	slack = 100
	// leakPatience is how long what is left of a fault may take to end.
	leakPatience = 40 * time.Second
)

// leaks compares services that have not been started anew with what they held before.
func (r *round) leaks(ctx context.Context, before map[string]size) {
	ctx = patient(ctx, leakPatience)
	for {
		grown := ""
		for name, now := range r.measure(ctx) {
			was, known := before[name]
			if known && was.pid == now.pid && (now.goroutines > was.goroutines+slack || now.fds > was.fds+slack) {
				grown = fmt.Sprintf("%s: %v goroutines and %v files, before %v and %v", name, now.goroutines, now.fds, was.goroutines, was.fds)
			}
		}
		if grown == "" {
			return
		}
		select {
		case <-ctx.Done():
			r.check(false, "no leak (%s)", grown)
			return
		case <-time.After(time.Second):
		}
	}
}
