package charts

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// chartFolders are all charts: the umbrella, then those that install alone.
func chartFolders(t *testing.T) []string {
	t.Helper()
	return slices.Concat([]string{Umbrella}, subcharts(t), []string{Operator, CRDs})
}

// subcharts are the folders of the umbrella's.
func subcharts(t *testing.T) []string {
	t.Helper()
	var folders []string
	entries, err := fs.ReadDir(FS(), Umbrella+"/charts")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		folders = append(folders, Umbrella+"/charts/"+e.Name())
	}
	return folders
}

// plain returns values as JSON has them: every number a float64.
func plain(t *testing.T, values any) map[string]any {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	var made map[string]any
	if err := json.Unmarshal(text, &made); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestValuesAndSchemaNameTheSame(t *testing.T) {
	t.Parallel()
	for _, chart := range chartFolders(t) {
		t.Run(chart, func(t *testing.T) {
			t.Parallel()
			loaded, err := Load(chart)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, nil, plain(t, loaded.Values), shapeOf(t, chart))
		})
	}
}

// compare goes down both trees at once. Below a free-form object or a list there are no names to compare.
func compare(t *testing.T, path []string, values map[string]any, s shape) {
	t.Helper()
	named := s.properties()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := strings.Join(append(path, key), ".")
		child, found := s.property(key)
		if !found {
			t.Errorf("%s is in values.yaml and not in the schema", at)
			continue
		}
		if inner, is := values[key].(map[string]any); is && len(inner) > 0 && len(child.properties()) > 0 {
			if child.resolved().here["additionalProperties"] != false && !others(path, key) {
				t.Errorf("%s takes any key: a misspelt one is not told", at)
			}
			if len(path) > 0 || key != "global" || values["image"] == nil { // the umbrella says all of global; a subchart what it reads
				compare(t, append(path, key), inner, child)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(named)) {
		if _, found := values[key]; !found {
			t.Errorf("%s is in the schema and not in values.yaml", strings.Join(append(path, key), "."))
		}
	}
}

// others says whether others than this chart read what stands there.
func others(path []string, key string) bool {
	return len(path) == 0 && key == "global" || subchart(path, key)
}

// subchart says whether a value of the umbrella is a subchart's, whose own schema says what is in it.
func subchart(path []string, key string) bool {
	_, err := fs.Stat(FS(), Umbrella+"/charts/"+key)
	return len(path) == 0 && err == nil
}

func TestEveryValueIsDescribed(t *testing.T) {
	t.Parallel()
	for _, chart := range chartFolders(t) {
		t.Run(chart, func(t *testing.T) {
			t.Parallel()
			text, err := fs.ReadFile(FS(), chart+"/values.yaml")
			if err != nil {
				t.Fatal(err)
			}
			var file yaml.Node
			if err := yaml.Unmarshal(text, &file); err != nil {
				t.Fatal(err)
			}
			for _, path := range undescribed(file.Content[0], nil, shapeOf(t, chart)) {
				t.Errorf("%s has neither a comment in values.yaml nor a description in the schema", path)
			}
		})
	}
}

// undescribed returns the keys without a comment, which are neither below one that has one, nor in the paragraph that it begins, nor described
// in the schema.
func undescribed(mapping *yaml.Node, path []string, s shape) []string {
	var found []string
	described, line := false, 0
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		child, _ := s.property(key.Value)
		text, _ := child.resolvedOr()["description"].(string)
		own := key.HeadComment != "" || key.LineComment != "" || value.LineComment != "" || value.HeadComment != "" || text != ""
		described = own || described && key.Line == line+1
		line = lastLine(value)
		switch {
		case described:
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			found = append(found, undescribed(value, append(path, key.Value), child)...)
		default:
			found = append(found, strings.Join(append(path, key.Value), "."))
		}
	}
	return found
}

func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

func (s shape) resolvedOr() map[string]any {
	if s.here == nil {
		return nil
	}
	return s.resolved().here
}
