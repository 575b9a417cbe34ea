package monitoring

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// recordings is where `make faults-alerts` has written what was measured during its faults. What is kept here is cut out of one.
var recordings = flag.String("recordings", "testdata", "a directory of recordings")

const (
	// evaluated is how often the rules are.
	evaluated = 15 * time.Second
	// held is how long the last answer of each process stands for what it would have gone on to say: longer than any rule looks back. Alerts can
	// clear in it, and not begin.
	held = 20 * time.Minute
)

func TestTheAlertsOfAFaultFireInItAndClearAfter(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(*recordings, "*.prom"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no recordings in %s: %v", *recordings, err)
	}
	var table strings.Builder
	table.WriteString("| alert | fault | lasted | fired after | cleared after |\n| --- | --- | --- | --- | --- |\n")
	all := alerts(t)
	for _, file := range files {
		r := read(t, file, all)
		told := replay(t, r, alertsOf(t, r.chart))
		for _, f := range told {
			fmt.Fprintf(&table, "| %s | %s | %v | %s |\n", f.alert, r.fault, r.ends.Sub(r.begins).Round(time.Second), f.when(r))
		}
		for _, fault := range r.wrong(told) {
			t.Errorf("%s: %s", r.fault, fault)
		}
	}
	_, _ = io.WriteString(t.Output(), table.String())
}

// firing is one alert: when it fired first, and when it was silent again, unless it still fires.
type firing struct {
	alert       string
	from, until time.Time
	still       bool
}

// when is the time from the beginning of the fault, and from its end.
func (f firing) when(r recording) string {
	cleared := "never"
	if !f.still {
		cleared = max(0, f.until.Sub(r.ends)).Round(time.Second).String()
	}
	return fmt.Sprintf("%v | %s", f.from.Sub(r.begins).Round(time.Second), cleared)
}

// wrong is what should not have been: an alert of the fault that stayed silent, one that has no business there, one that does not clear.
func (r recording) wrong(told []firing) []string {
	var all []string
	for _, alert := range r.fire {
		if !slices.ContainsFunc(told, func(f firing) bool { return f.alert == alert }) {
			all = append(all, alert+" stays silent")
		}
	}
	for _, f := range told {
		if !slices.Contains(r.fire, f.alert) && !slices.Contains(r.may, f.alert) {
			all = append(all, f.alert+" fires and has no business there")
		}
		if f.from.Before(r.begins) {
			all = append(all, f.alert+" fires before the fault")
		}
		if f.still {
			all = append(all, f.alert+" does not clear")
		}
	}
	return all
}

// replay evaluates the rules as Prometheus would have done while it was recorded, and for a time after.
func replay(t *testing.T, r recording, rules map[string]rulefmt.Rule) []firing {
	t.Helper()
	var told []firing
	for name, rule := range rules {
		if f := r.follow(t, rule); !f.from.IsZero() {
			f.alert = name
			told = append(told, f)
		}
	}
	slices.SortFunc(told, func(a, b firing) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.alert, b.alert)) })
	return told
}

func (r recording) follow(t *testing.T, rule rulefmt.Rule) (f firing) {
	t.Helper()
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	var since time.Time
	for at := r.first; at.Before(r.last.Add(held)); at = at.Add(evaluated) {
		if !answers(t, engine, r.db, rule.Expr, at) {
			if f.still {
				f.still, f.until = false, at
			}
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = at
		}
		if f.still || at.Sub(since) < forOf(rule) || at.After(r.last) {
			continue
		}
		f.still = true
		if f.from.IsZero() {
			f.from = at
		}
	}
	return f
}

func TestARecordingIsHeldAgainstItsFault(t *testing.T) {
	t.Parallel()
	all := alerts(t)
	for name, c := range map[string]struct {
		fire, may  string
		from, till int // seconds in which note is not ready; the fault lasts from 120 to 240
		wrong      []string
	}{
		"its alert fires and clears":       {fire: "NoteworksServiceAway", from: 120, till: 240},
		"an alert that may fire":           {may: "NoteworksServiceAway", from: 120, till: 240},
		"its alert stays silent":           {fire: "NoteworksServiceAway", from: 120, till: 150, wrong: []string{"NoteworksServiceAway stays silent"}},
		"its alert does not clear":         {fire: "NoteworksServiceAway", from: 120, till: 999, wrong: []string{"NoteworksServiceAway does not clear"}},
		"an alert that has no business":    {from: 120, till: 240, wrong: []string{"NoteworksServiceAway fires and has no business there"}},
		"its alert fires before":           {fire: "NoteworksServiceAway", from: 0, till: 240, wrong: []string{"NoteworksServiceAway fires before the fault"}},
		"it is only pending when all ends": {from: 320, till: 999},
		"an alert that is not the fault's": {fire: "NoteworksWithoutNATS", may: "NoteworksServiceAway", from: 120, till: 240, wrong: []string{"NoteworksWithoutNATS stays silent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			fmt.Fprintf(&text, "# fault made up\n# fire %s\n# may %s\n# begins 120000\n# ends 240000\n", c.fire, c.may)
			for at := 0; at <= 360; at += 10 {
				for _, service := range []string{"gateway", "note", "user"} {
					fmt.Fprintf(&text, "# scrape %d %s %s-1\n# TYPE noteworks_ready gauge\n", at*1000, service, service)
					if service != "note" || at < c.from || at >= c.till {
						text.WriteString("noteworks_ready 1\n")
					}
				}
			}
			file := filepath.Join(t.TempDir(), "made-up.prom")
			if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			r := read(t, file, all)
			if got := r.wrong(replay(t, r, all)); !slices.Equal(got, c.wrong) {
				t.Errorf("what is wrong with it is %q", got)
			}
		})
	}
}
