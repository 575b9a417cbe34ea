package monitoring

import (
	"errors"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
)

// A recording is what was written while a fault was played: test/recording says in what form.
type recording struct {
	fault, chart string
	fire, may    []string  // the alerts that have to, and that may
	begins, ends time.Time // of the fault
	first, last  time.Time // of what was measured
	db           storage.Queryable
}

// read puts those samples of a recording into a database that the rules ask for.
func read(t *testing.T, file string, rules map[string]rulefmt.Rule) recording {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db := teststorage.New(t)
	s := scraper{t: t, to: db.Appender(t.Context()), last: map[string]map[uint64]sample{}}
	r, wanted := recording{chart: "noteworks", db: db}, metricsOf(t, rules)
	for line := range strings.Lines(string(text)) {
		word, said, _ := strings.Cut(strings.TrimPrefix(line, "# "), " ")
		switch said = strings.TrimSpace(said); {
		case !strings.HasPrefix(line, "# "):
			name, _, _ := strings.Cut(line, " ")
			if name, _, _ = strings.Cut(name, "{"); wanted[name] {
				s.text = append(s.text, line...)
			}
		case word == "fault":
			r.fault = said
		case word == "chart":
			r.chart = said
		case word == "fire":
			r.fire = strings.Fields(said)
		case word == "may":
			r.may = strings.Fields(said)
		case word == "begins":
			r.begins = s.time(said)
		case word == "ends":
			r.ends = s.time(said)
		case word == "scrape":
			s.end()
			s.begin(strings.Fields(said))
			if r.last = s.at; r.first.IsZero() {
				r.first = s.at
			}
		}
	}
	s.end()
	s.hold(r.last)
	if err := s.to.Commit(); err != nil {
		t.Fatal(err)
	}
	if r.begins.IsZero() || r.ends.IsZero() {
		t.Fatalf("%s ends too early", file)
	}
	return r
}

// metricsOf are the metrics that rules ask for.
func metricsOf(t *testing.T, rules map[string]rulefmt.Rule) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, rule := range rules {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range selectors(expr) {
			all[s.Name] = true
		}
	}
	return all
}

type sample struct {
	series labels.Labels
	value  float64
}

// scraper does with what processes answer what Prometheus does.
type scraper struct {
	t    *testing.T
	to   storage.Appender
	last map[string]map[uint64]sample // by process and series

	at           time.Time
	job, process string
	text         []byte
}

func (s *scraper) time(millis string) time.Time {
	s.t.Helper()
	n, err := strconv.ParseInt(millis, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return time.UnixMilli(n)
}

// begin is told when, which service and which process of it.
func (s *scraper) begin(of []string) {
	s.t.Helper()
	if len(of) != 3 {
		s.t.Fatalf("a scrape of %q", of)
	}
	s.at, s.job, s.process, s.text = s.time(of[0]), of[1], of[2], nil
}

// end keeps the answer. Series that were in the one before and are not any more end there.
func (s *scraper) end() {
	s.t.Helper()
	if s.process == "" {
		return
	}
	now := s.samples()
	for id, gone := range s.last[s.process] {
		if _, still := now[id]; !still {
			s.add(sample{gone.series, math.Float64frombits(value.StaleNaN)}, s.at)
		}
	}
	for _, one := range now {
		s.add(one, s.at)
	}
	s.last[s.process] = now
}

// samples are those of the answer, by series, with the labels that a PodMonitor sets.
func (s *scraper) samples() map[uint64]sample {
	s.t.Helper()
	all := map[uint64]sample{}
	for p := textparse.NewPromParser(s.text, labels.NewSymbolTable(), false); ; {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		p.Labels(&series)
		_, _, v := p.Series()
		series = labels.NewBuilder(series).Set("namespace", "team").Set("stack", "noteworks").Set("job", s.job).Set("pod", s.process).Labels()
		all[series.Hash()] = sample{series, v}
	}
}

func (s *scraper) add(one sample, at time.Time) {
	s.t.Helper()
	if _, err := s.to.Append(0, one.series, at.UnixMilli(), one.value); err != nil {
		s.t.Fatal(err)
	}
}

// hold repeats the last answers for the time that is held.
func (s *scraper) hold(since time.Time) {
	s.t.Helper()
	for at := since.Add(evaluated); !at.After(since.Add(held)); at = at.Add(evaluated) {
		for _, samples := range s.last {
			for _, one := range samples {
				s.add(one, at)
			}
		}
	}
}
