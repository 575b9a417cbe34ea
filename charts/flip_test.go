package charts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A flip is one value of a chart, changed.
type flip struct {
	path []string
	to   any
}

func (f flip) String() string { return fmt.Sprintf("%s is %v", strings.Join(f.path, "."), f.to) }

// values returns what `--set` makes of the flip, with the values without which it has no meaning.
func (f flip) values() map[string]any {
	values := map[string]any{}
	set(values, f.path, f.to)
	for path, to := range alongside()[strings.Join(f.path, ".")+"="+fmt.Sprint(f.to)] {
		set(values, strings.Split(path, "."), to)
	}
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

// flips returns every other value of every key. A key whose shape says nothing that could be tried is an error.
func flips(t *testing.T, path []string, now map[string]any, s shape) []flip {
	t.Helper()
	var found []flip
	for _, key := range slices.Sorted(maps.Keys(now)) {
		here := append(slices.Clone(path), key)
		child, known := s.property(key)
		if !known {
			continue // TestValuesAndSchemaNameTheSame tells
		}
		if inner, is := now[key].(map[string]any); is && len(child.properties()) > 0 {
			found = append(found, flips(t, here, inner, child)...)
			continue
		}
		others := child.others(now[key])
		if len(others) == 0 {
			t.Errorf("%s: nothing to try; give its schema examples", strings.Join(here, "."))
		}
		for _, to := range others {
			found = append(found, flip{here, to})
		}
	}
	return found
}

// alongside says which values need others beside them.
func alongside() map[string]map[string]any {
	return map[string]map[string]any{}
}

// Each chart alone, and then its values inside the umbrella, where everything it refers to is there.
func TestEachValueChangedStillMakesAGoodRelease(t *testing.T) {
	t.Parallel()
	for _, chart := range chartFolders(t) {
		for _, f := range flips(t, nil, defaults(t, chart), shapeOf(t, chart)) {
			t.Run(strings.TrimPrefix(chart, Umbrella+"/charts/")+"/"+f.String(), func(t *testing.T) {
				t.Parallel()
				obey(t, rendered(t, install{chart: chart, values: f.values()}))
			})
			if name := strings.TrimPrefix(chart, Umbrella+"/charts/"); name != chart && f.path[0] != "global" {
				inside := flip{append([]string{name}, f.path...), f.to}
				t.Run(inside.String(), func(t *testing.T) {
					t.Parallel()
					obey(t, rendered(t, install{values: inside.values()}))
				})
			}
		}
	}
}
