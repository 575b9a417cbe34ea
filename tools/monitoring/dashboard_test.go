package monitoring

import (
	"encoding/json"
	"strings"
	"testing"
)

type dashboard struct {
	Panels []struct {
		Title   string
		Type    string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr, LegendFormat string }
	}
}

func TestTheDashboardAsksForWhatIsThere(t *testing.T) {
	t.Parallel()
	config := one(t, render(t), "ConfigMap", "-dashboard")
	data, _ := config["data"].(map[string]any)
	text, _ := data["noteworks.json"].(string)
	var d dashboard
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	known, queries, taken := inventory(t), 0, map[[2]int]string{}
	for _, p := range d.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, twice := taken[[2]int{x, y}]; twice || x >= 24 {
					t.Fatalf("panel %q lies upon %q or beside the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			queries++
			query := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			for _, fault := range faults(query, known) {
				t.Errorf("panel %q: %s\n\t%s", p.Title, fault, query)
			}
		}
	}
	if queries < 20 {
		t.Errorf("only %d queries were checked", queries)
	}
}
