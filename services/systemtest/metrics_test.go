package systemtest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// inventory lists every metric that alerts and dashboards may rely on. `make metrics` writes its table anew.
const inventory = "../../docs/metrics.md"

// The charts' alerts and dashboard are checked against the inventory (tools/monitoring), and here the inventory against the running
// programs: so no alert waits for a metric that was renamed, and none is missing from the list.
func TestTheInventoryOfMetricsIsWhatTheProgramsExpose(t *testing.T) {
	t.Parallel()
	ops := addresses{}
	w := startWorld(t, func(l *logs, c *collector) launcher { return ops.around(launchPrograms(t)(l, c)) })
	ann, bob := w.owner(), w.signUp("bob")
	live := w.watch(bob, "")
	n, err := ann.Create(w.ctx(), "Hello", "hello")
	w.must(err)
	w.must(ann.Share(w.ctx(), n.ID, bob.User().ID, "viewer"))
	w.waitFor(live, "note.v1.NoteShared", n.ID)

	written, err := os.ReadFile(inventory)
	w.must(err)
	head, table, _ := strings.Cut(string(written), tableHead)
	var found string
	for tick, deadline := time.NewTicker(100*time.Millisecond), time.After(patience); ; {
		found = ops.table(t)
		if found == table {
			return
		}
		select {
		case <-tick.C: // some come with a first use, some with the next look at the stream
			continue
		case <-deadline:
		}
		break
	}
	if os.Getenv("UPDATE") != "" {
		w.must(os.WriteFile(inventory, []byte(head+tableHead+found), 0o644))
		return
	}
	t.Errorf("docs/metrics.md is not what the programs expose (make metrics writes it):\n%s", differences(table, found))
}

const tableHead = "| metric | type | labels | of | what |\n| --- | --- | --- | --- | --- |\n"

// addresses are the operations ports of the services.
type addresses struct {
	mu sync.Mutex
	of map[string]string
}

// around picks the operations port of each service that launch starts, to know it.
func (a *addresses) around(launch launcher) launcher {
	return func(ctx context.Context, service string, settings map[string]string) (func(context.Context) error, error) {
		ops, err := freeAddress()
		if err != nil {
			return nil, err
		}
		a.mu.Lock()
		if a.of == nil {
			a.of = map[string]string{}
		}
		a.of[service] = ops
		a.mu.Unlock()
		settings = maps.Clone(settings)
		settings["OPS_ADDR"] = ops
		return launch(ctx, service, settings)
	}
}

// exposed is one metric, of all services that have it.
type exposed struct {
	kind, help string
	labels, of map[string]bool
}

// table is what is exposed now, as the inventory writes it. What every Go program has, go_* and process_*, is left out.
func (a *addresses) table(t *testing.T) string {
	t.Helper()
	all := map[string]*exposed{}
	for service, addr := range a.of {
		for name, family := range scrape(t, "http://"+addr+"/metrics") {
			if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
				continue
			}
			e := all[name]
			if e == nil {
				e = &exposed{kind: strings.ToLower(family.GetType().String()), help: family.GetHelp(), labels: map[string]bool{}, of: map[string]bool{}}
				all[name] = e
			}
			e.of[service] = true
			for _, m := range family.GetMetric() {
				for _, l := range m.GetLabel() {
					e.labels[l.GetName()] = true
				}
			}
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		_, _ = fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, e.kind, list(e.labels), list(e.of), strings.ReplaceAll(e.help, "|", "/"))
	}
	return b.String()
}

func list(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), " ") }

func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatalf("%s is not what Prometheus reads: %v", url, err)
	}
	return families
}

// differences are the lines that only one of the tables has.
func differences(written, found string) string {
	var b strings.Builder
	w, f := strings.Split(written, "\n"), strings.Split(found, "\n")
	for _, line := range w {
		if !slices.Contains(f, line) {
			_, _ = fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	for _, line := range f {
		if !slices.Contains(w, line) {
			_, _ = fmt.Fprintf(&b, "+ %s\n", line)
		}
	}
	return b.String()
}
