package charts

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A shape is a part of a chart's values.schema.json.
type shape struct {
	root map[string]any
	here map[string]any
}

// shapeOf reads a chart's schema; a subchart's values have the subchart's schema.
func shapeOf(t *testing.T, chart string) shape {
	t.Helper()
	read := func(dir string) map[string]any {
		text, err := fs.ReadFile(FS(), dir+"/values.schema.json")
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatalf("%s/values.schema.json: %v", dir, err)
		}
		return schema
	}
	whole := read(chart)
	return shape{whole, whole}
}

// resolved follows a reference inside the same file; what stands beside it holds, too.
func (s shape) resolved() shape {
	for {
		ref, found := s.here["$ref"].(string)
		if !found {
			return s
		}
		var at any = s.root
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at, _ = at.(map[string]any)[part]
		}
		target, found := at.(map[string]any)
		if !found {
			panic("schema: no " + ref)
		}
		merged := map[string]any{}
		for key, value := range target {
			merged[key] = value
		}
		for key, value := range s.here {
			if key != "$ref" {
				merged[key] = value
			}
		}
		s.here = merged
	}
}

// properties are the keys that the schema names.
func (s shape) properties() map[string]any {
	named, _ := s.resolved().here["properties"].(map[string]any)
	return named
}

func (s shape) property(key string) (shape, bool) {
	child, found := s.properties()[key].(map[string]any)
	return shape{s.root, child}, found
}

// branches are the alternatives of a shape, or the shape alone.
func (s shape) branches() []shape {
	s = s.resolved()
	for _, keyword := range []string{"oneOf", "anyOf"} {
		if alternatives, found := s.here[keyword].([]any); found {
			var all []shape
			for _, a := range alternatives {
				part, _ := a.(map[string]any)
				all = append(all, shape{s.root, part}.branches()...)
			}
			return all
		}
	}
	return []shape{s}
}

func (s shape) types() []string {
	switch kind := s.here["type"].(type) {
	case string:
		return []string{kind}
	case []any:
		var kinds []string
		for _, k := range kind {
			kinds = append(kinds, fmt.Sprint(k))
		}
		return kinds
	}
	return nil
}

// others returns values of the shape that differ from one: each other member of an enumeration, the other boolean, a number beside it and
// the ends of its range, each example, a string of its pattern.
func (s shape) others(now any) []any {
	var found []any
	add := func(value any) {
		if !same(value, now) && !slices.ContainsFunc(found, func(f any) bool { return same(f, value) }) {
			found = append(found, value)
		}
	}
	for _, branch := range s.branches() {
		if members, is := branch.here["enum"].([]any); is {
			for _, m := range members {
				add(m)
			}
			continue
		}
		examples, _ := branch.here["examples"].([]any)
		for _, e := range examples {
			add(e)
		}
		for _, kind := range branch.types() {
			if len(examples) > 0 && len(branch.types()) > 1 {
				break // a quantity or a percentage: its range is not that of numbers
			}
			for _, value := range branch.samples(kind, now, len(examples) > 0) {
				add(value)
			}
		}
	}
	return found
}

func (s shape) samples(kind string, now any, exampled bool) []any {
	switch kind {
	case "boolean":
		return []any{true, false}
	case "integer", "number":
		return s.numbers(now)
	case "string":
		if exampled {
			return nil
		}
		for _, candidate := range words(candidates()) {
			if s.fits(candidate) && candidate != now {
				return []any{candidate}
			}
		}
	case "array":
		if items, found := s.here["items"].(map[string]any); found && !exampled {
			if others := (shape{s.root, items}).others(nil); len(others) > 0 {
				return []any{[]any{others[0]}}
			}
		}
	case "object":
		if !exampled {
			if whole := s.instance(); len(whole) > 0 {
				return []any{whole}
			}
		}
	}
	return nil
}

// instance makes an object of the shape with all that it must have.
func (s shape) instance() map[string]any {
	made := map[string]any{}
	required, _ := s.here["required"].([]any)
	for _, key := range required {
		if child, found := s.property(fmt.Sprint(key)); found {
			if others := child.others(nil); len(others) > 0 {
				made[fmt.Sprint(key)] = others[0]
			}
		}
	}
	if rest, found := s.here["additionalProperties"].(map[string]any); found {
		if others := (shape{s.root, rest}).resolved().others(nil); len(others) > 0 {
			made["example"] = others[0]
		}
	}
	return made
}

func (s shape) numbers(now any) []any {
	var found []any
	current, _ := now.(float64)
	least, hasLeast := s.here["minimum"].(float64)
	most, hasMost := s.here["maximum"].(float64)
	for _, n := range []float64{current + 1, current - 1} {
		if (!hasLeast || n >= least) && (!hasMost || n <= most) && (hasLeast || n >= 0) {
			found = append(found, n)
			break
		}
	}
	if hasLeast {
		found = append(found, least)
	}
	if hasMost {
		found = append(found, most)
	}
	return found
}

func (s shape) fits(text string) bool {
	if pattern, found := s.here["pattern"].(string); found && !regexp.MustCompile(pattern).MatchString(text) {
		return false
	}
	if least, found := s.here["minLength"].(float64); found && len(text) < int(least) {
		return false
	}
	if most, found := s.here["maxLength"].(float64); found && len(text) > int(most) {
		return false
	}
	return true
}

// candidates are strings of every kind that a chart's values have, in the order in which a pattern is tried.
func candidates() any {
	return []any{
		"example", "192Mi", "150m", "3Gi", "45s", "12h", "1", "25%", "0.5", "example.org", "http://example.org:1234", "https://example.org",
		"nats://example.org:4222", "registry.example.org/team", "registry.example.org:5000", "1.2.3", "10.0.0.0/8", "team/example",
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "person@example.org", "EXAMPLE", "example-long-enough",
		"192MB", "512MB", "ReadWriteOncePod", "/example", "64k",
	}
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }
