package monitoring

import (
	"bufio"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
)

// recordings is where `go run ./test/faults -record` has written; what is kept here is shortened to the metrics that alerts ask for.
var recordings = flag.String("recordings", "testdata/recorded", "a directory of what test/faults has recorded")

// belongs are the alerts that have to fire while a fault lasts, and to be silent again after it. Others may fire, and have to be silent again, too.
func belongs() map[string][]string {
	return map[string][]string{
		"NATS-down":                        {"NoteworksWithoutNATS", "NoteworksOutboxStuck"},
		"PostgreSQL-stopped":               {"NoteworksServiceAway"},
		"the-user-service-down":            {"NoteworksServiceAway"},
		"an-event-that-nobody-can-read":    {"NoteworksEventsParked"},
		"silence-between-gateway-and-note": {"NoteworksBreakerOpen"},
	}
}

const (
	evaluated = 15 * time.Second
	// after is how long the last scrape stands for what follows: longer than the longest look back of an alert, and its time to clear.
	after = 25 * time.Minute
)

func TestTheAlertOfAFaultFiresInItAndClearsAfter(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(*recordings, "*.prom*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s: %v", *recordings, err)
	}
	all := alerts(t)
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := replay(t, file, all)
			for _, alert := range belongs()[name] {
				if !told[alert].fired {
					t.Errorf("%s stays silent", alert)
				}
			}
			for alert, was := range told {
				t.Logf("%s fires %v after the beginning, and is silent %v after it", alert, was.from, was.until)
				if was.still {
					t.Errorf("%s does not clear", alert)
				}
			}
		})
	}
}

type firing struct {
	fired, still bool
	from, until  time.Duration
}

// replay evaluates the rules as Prometheus would have done while the file was recorded, and for a time after.
func replay(t *testing.T, file string, rules map[string]rulefmt.Rule) map[string]firing {
	t.Helper()
	db, begin, end := load(t, file)
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	told := map[string]firing{}
	for name, rule := range rules {
		var since time.Time
		var is firing
		for at := begin.Add(time.Minute); at.Before(end); at = at.Add(evaluated) {
			if !answers(t, engine, db, rule.Expr, at) {
				if is.still {
					is.still, is.until = false, at.Sub(begin)
				}
				since = time.Time{}
				continue
			}
			if since.IsZero() {
				since = at
			}
			if at.Sub(since) >= forOf(rule) && !is.still {
				if !is.fired {
					is.from = at.Sub(begin)
				}
				is.fired, is.still = true, true
			}
		}
		if is.fired {
			told[name] = is
		}
	}
	return told
}

// scrape is one answer of one process; without metrics it was away.
type scrape struct {
	at           time.Time
	job, process string
	text         strings.Builder
}

// load reads a recording into a database. Series of a process that does not answer end, as Prometheus has it.
func load(t *testing.T, file string) (db storage.Queryable, begin, end time.Time) {
	t.Helper()
	store := teststorage.New(t)
	app := store.Appender(context.Background())
	last := map[string][]sample{}
	for _, s := range scrapes(t, file) {
		if begin.IsZero() {
			begin = s.at
		}
		end = s.at
		samples := samplesOf(t, s)
		for _, gone := range last[s.process] {
			if !slices.ContainsFunc(samples, func(one sample) bool { return labels.Equal(one.series, gone.series) }) {
				gone.value = math.Float64frombits(value.StaleNaN)
				add(t, app, gone, s.at)
			}
		}
		for _, one := range samples {
			add(t, app, one, s.at)
		}
		last[s.process] = samples
	}
	for at := end.Add(evaluated); at.Before(end.Add(after)); at = at.Add(evaluated) {
		for _, samples := range last {
			for _, one := range samples {
				add(t, app, one, at)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return store, begin, end.Add(after)
}

type sample struct {
	series labels.Labels
	value  float64
}

func add(t *testing.T, app storage.Appender, s sample, at time.Time) {
	t.Helper()
	if _, err := app.Append(0, s.series, at.UnixMilli(), s.value); err != nil {
		t.Fatal(err)
	}
}

// scrapes reads the blocks of a recording: test/faults says what they look like.
func scrapes(t *testing.T, file string) []*scrape {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var text io.Reader = f
	if filepath.Ext(file) == ".gz" {
		if text, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var all []*scrape
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if head, is := strings.CutPrefix(lines.Text(), "# scrape "); is {
			fields := strings.Fields(head)
			at, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil || len(fields) != 3 {
				t.Fatalf("%s: %q", file, lines.Text())
			}
			all = append(all, &scrape{at: time.UnixMilli(at), job: fields[1], process: fields[2]})
			continue
		}
		_, _ = fmt.Fprintln(&all[len(all)-1].text, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func samplesOf(t *testing.T, s *scrape) []sample {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(s.text.String()))
	if err != nil {
		t.Fatal(err)
	}
	var all []sample
	for name, family := range families {
		for _, m := range family.GetMetric() {
			b := labels.NewBuilder(labels.FromStrings("namespace", "team", "stack", "noteworks", "job", s.job, "pod", s.process))
			for _, l := range m.GetLabel() {
				b.Set(l.GetName(), l.GetValue())
			}
			all = append(all, valuesOf(name, b, m)...)
		}
	}
	return all
}

// valuesOf is the series that a metric is to Prometheus.
func valuesOf(name string, b *labels.Builder, m *dto.Metric) []sample {
	named := func(suffix string, v float64) sample {
		return sample{b.Set(model.MetricNameLabel, name+suffix).Labels(), v}
	}
	h := m.GetHistogram()
	if h == nil {
		return []sample{named("", m.GetGauge().GetValue()+m.GetCounter().GetValue()+m.GetUntyped().GetValue())}
	}
	all := []sample{named("_count", float64(h.GetSampleCount())), named("_sum", h.GetSampleSum())}
	for _, bucket := range h.GetBucket() {
		b.Set("le", strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))
		if math.IsInf(bucket.GetUpperBound(), 1) {
			b.Set("le", "+Inf")
		}
		all = append(all, named("_bucket", float64(bucket.GetCumulativeCount())))
	}
	return all
}
