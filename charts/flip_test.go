package charts

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A flip is one value of a chart, changed.
type flip struct {
	chart string // "user"; the umbrella's own values are of "noteworks"
	path  []string
	to    any
}

func (f flip) String() string { return fmt.Sprintf("%s is %v", strings.Join(f.path, "."), f.to) }

// values returns what `--set` makes of the flip, with the values without which it has no meaning.
func (f flip) values() map[string]any {
	values := map[string]any{}
	f.company(values, alongside())
	set(values, f.path, f.to)
	return values
}

// company sets what a table says of the flip, of any other value of its key, or of the key in any chart.
func (f flip) company(values map[string]any, table map[string]map[string]any) {
	path := strings.Join(f.path, ".")
	for _, entry := range []string{f.chart + ": " + f.String(), f.chart + ": " + path, path} {
		for other, to := range table[entry] {
			set(values, strings.Split(other, "."), to)
		}
	}
}

// inside returns the same for the chart inside the umbrella.
func (f flip) inside() map[string]any {
	values := map[string]any{}
	f.company(values, beyond())
	own, _ := values[f.chart].(map[string]any)
	whole := f.values()
	if own != nil {
		maps.Copy(whole, own)
	}
	values[f.chart] = whole
	return values
}

func set(values map[string]any, path []string, to any) {
	for _, key := range path[:len(path)-1] {
		inner, found := values[key].(map[string]any)
		if !found {
			inner = map[string]any{}
			values[key] = inner
		}
		values = inner
	}
	values[path[len(path)-1]] = to
}

// flips returns every other value of every key of a chart. A key whose shape says nothing that could be tried is an error.
func flips(t *testing.T, chart string) []flip {
	t.Helper()
	var found []flip
	var walk func(path []string, now map[string]any, s shape)
	walk = func(path []string, now map[string]any, s shape) {
		for _, key := range slices.Sorted(maps.Keys(now)) {
			here := append(slices.Clone(path), key)
			child, known := s.property(key)
			inner, nested := now[key].(map[string]any)
			switch {
			case !known: // TestValuesAndSchemaNameTheSame tells
			case chart == Umbrella && subchart(path, key) && len(child.properties()) == 0: // has its own flips
			case nested && len(inner) > 0 && len(child.properties()) > 0:
				walk(here, inner, child)
			default:
				others := child.others(now[key])
				if len(others) == 0 {
					t.Errorf("%s: nothing to try; give its schema examples", strings.Join(here, "."))
				}
				for _, to := range others {
					found = append(found, flip{filepath.Base(chart), here, to})
				}
			}
		}
	}
	loaded, err := Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	walk(nil, plain(t, loaded.Values), shapeOf(t, chart))
	return found
}

// alongside says which values of a chart need others of it beside them.
func alongside() map[string]map[string]any {
	return map[string]map[string]any{
		"resources.requests.ephemeral-storage": {"resources.limits.ephemeral-storage": "1Gi"},
		"resources.requests.memory":            {"resources.limits.memory": "1Gi"},
		"resources.limits.memory":              {"resources.requests.memory": "64Mi"},
		"resources.limits.ephemeral-storage":   {"resources.requests.ephemeral-storage": "16Mi"},
		"noteworks: jaeger.enabled is false":   {"global.tracing.endpoint": "http://collector.example.org:4318"},
		"noteworks: nats.enabled is false": {
			"global.nats.url": "nats://nats.example.org:4222", "user.nats.existingSecret": "a", "note.nats.existingSecret": "b", "gateway.nats.existingSecret": "c",
		},
		"noteworks: postgres.enabled is false": {
			"user.database.existingSecret": "users-database", "note.database.existingSecret": "notes-database",
		},
		"user: database.port":                         {"database.existingSecret": "elsewhere"},
		"note: database.port":                         {"database.existingSecret": "elsewhere"},
		"user: database.urlKey is example":            {"database.existingSecret": "example"},
		"user: database.migrateUrlKey is example":     {"database.existingSecret": "example"},
		"user: nats.passwordKey is example":           {"nats.existingSecret": "example"},
		"note: database.urlKey is example":            {"database.existingSecret": "example"},
		"note: database.migrateUrlKey is example":     {"database.existingSecret": "example"},
		"note: nats.passwordKey is example":           {"nats.existingSecret": "example"},
		"gateway: nats.passwordKey is example":        {"nats.existingSecret": "example"},
		"noteworks-operator: route.kind is httproute": {"route.parentRefs": []any{map[string]any{"name": "public", "namespace": "infra"}}},
		"gateway: route.enabled is true":              {"route.parentRefs": []any{map[string]any{"name": "public", "namespace": "infra"}}},
	}
}

// beyond says which values of a chart need others of the umbrella beside them.
func beyond() map[string]map[string]any {
	return map[string]map[string]any{
		"nats: enabled is false":                            alongside()["noteworks: nats.enabled is false"],
		"jaeger: enabled is false":                          alongside()["noteworks: jaeger.enabled is false"],
		"postgres: enabled is false":                        alongside()["noteworks: postgres.enabled is false"],
		"user: database.port":                               {"postgres.enabled": false, "note.database.existingSecret": "elsewhere"},
		"note: database.port":                               {"postgres.enabled": false, "user.database.existingSecret": "elsewhere"},
		"postgres: services.user.existingSecret is example": {"user.database.existingSecret": "example"},
		"postgres: services.note.existingSecret is example": {"note.database.existingSecret": "example"},
		"nats: users.user.existingSecret is example":        {"user.nats.existingSecret": "example"},
		"nats: users.note.existingSecret is example":        {"note.nats.existingSecret": "example"},
		"nats: users.gateway.existingSecret is example":     {"gateway.nats.existingSecret": "example"},
	}
}

// choices are values that say: this I do not want. The rules they end hold everywhere else.
func choices(f flip) []string {
	edges := []string{"network policies state real edges, at both ends"}
	table := map[string][]string{
		"networkPolicy.enabled is false":          edges,
		"podDisruptionBudget.maxUnavailable is 0": {"disruption budgets protect and do not block"},
		// Who asks somebody else is still let in where it would have asked.
		"upstreams.user": edges, "upstreams.userRpc": edges, "upstreams.note": edges, "user.rpcUrl": edges, "note.rpcUrl": edges,
	}
	return slices.Concat(table[f.String()], table[strings.Join(f.path, ".")])
}

// simple says whether a flip needs nothing else and goes with any flip of another chart.
func (f flip) simple() bool {
	probe := map[string]any{}
	f.company(probe, alongside())
	f.company(probe, beyond())
	names := f.path[len(f.path)-1] == "name" // two objects might end with the same one
	return len(probe) == 0 && len(choices(f)) == 0 && !f.renames() && !names && f.path[0] != "enabled"
}

// renames says whether the flip gives a chart's objects another name, by which the others in the umbrella would not find them.
func (f flip) renames() bool { return f.path[0] == "nameOverride" || f.path[0] == "fullnameOverride" }

// together returns flips of all subcharts for the umbrella: one of each chart at a time where they do not depend on each other.
func together(t *testing.T) [][]flip {
	t.Helper()
	var sets [][]flip
	for _, chart := range subcharts(t) {
		n := 0
		for _, f := range flips(t, chart) {
			switch {
			case f.path[0] == "global": // the umbrella's own
			case !f.simple():
				sets = append(sets, []flip{f})
			default:
				for n < len(sets) && (!sets[n][0].simple() || sets[n][0].chart == f.chart) {
					n++
				}
				if n == len(sets) {
					sets = append(sets, nil)
				}
				sets[n] = append(sets[n], f)
				n++
			}
		}
	}
	return sets
}

// Each chart alone, and then its values inside the umbrella, where everything it refers to is there.
func TestEachValueChangedStillMakesAGoodRelease(t *testing.T) {
	t.Parallel()
	var made sync.Map
	t.Run("each", func(t *testing.T) {
		for _, chart := range chartFolders(t) {
			before := immutable(t, rendered(t, install{chart: chart}))
			for _, f := range flips(t, chart) {
				t.Run(f.chart+"/"+f.String(), func(t *testing.T) {
					t.Parallel()
					r := rendered(t, install{chart: chart, values: f.values()})
					obey(t, r, choices(f)...)
					if !firstOnly(f) && !f.renames() {
						for _, why := range frozen(before, immutable(t, r)) {
							t.Errorf("an upgrade could not say so: %s", why)
						}
					}
					if len(choices(f)) == 0 {
						made.Store(t.Name(), r)
					}
				})
			}
		}
		for _, set := range together(t) {
			t.Run("in the umbrella/"+sentence(set), func(t *testing.T) {
				t.Parallel()
				if set[0].renames() {
					refused(t, install{values: set[0].inside()}, set[0].chart+"."+set[0].path[0], "find this one by its name")
					return
				}
				values := map[string]any{}
				for _, f := range set {
					maps.Copy(values, f.inside())
				}
				obey(t, rendered(t, install{values: values, valid: true}), choices(set[0])...)
			})
		}
	})
	t.Run("and kube-score finds nothing critical", func(t *testing.T) {
		releases := map[string]*release{}
		made.Range(func(name, r any) bool {
			releases[name.(string)] = r.(*release)
			return true
		})
		for name, faults := range score(t, releases) {
			t.Errorf("%s:\n\t%s", name, strings.Join(faults, "\n\t"))
		}
	})
}

func sentence(set []flip) string {
	var all []string
	for _, f := range set {
		all = append(all, f.chart+"."+f.String())
	}
	return strings.Join(all, ", ")
}
