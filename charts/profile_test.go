package charts

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// profiles are the values files beside the umbrella's own, and the default.
func profiles(t *testing.T) map[string]map[string]any {
	t.Helper()
	return profilesOf(t, Umbrella)
}

func profilesOf(t *testing.T, chart string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{"default": nil}
	files, err := fs.Glob(FS(), chart+"/values-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(FS(), file)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]any{}
		if err := yaml.UnmarshalStrict(text, &values); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found[strings.TrimSuffix(strings.TrimPrefix(file, chart+"/values-"), ".yaml")] = values
	}
	return found
}

// shapes are the releases that the tests which look at whole stacks look at.
func installs(t *testing.T) map[string]install {
	t.Helper()
	found := map[string]install{
		"with a long name":  {release: "a-" + strings.Repeat("long", 12) + "-nme"},
		"named as a chart":  {release: "note"},
		"with a short name": {release: "x"},
	}
	for name, values := range profiles(t) {
		found["with "+name+" values"] = install{values: values}
	}
	for _, chart := range chartFolders(t)[1:] {
		for name, values := range profilesOf(t, chart) {
			found[strings.TrimPrefix(chart, Umbrella+"/charts/")+" alone, with "+name+" values"] = install{chart: chart, values: values}
		}
	}
	found["the operator with a long name"] = install{chart: Operator, release: "a-" + strings.Repeat("long", 12) + "-nme"}
	return found
}

func TestEveryProfileMakesAGoodRelease(t *testing.T) {
	t.Parallel()
	for chart, names := range map[string][]string{Umbrella: {"dev", "small", "ha"}, Operator: {"dev", "ha"}} {
		for _, name := range names {
			if _, found := profilesOf(t, chart)[name]; !found {
				t.Errorf("%s has no profile %s", chart, name)
			}
		}
	}
	for name, in := range installs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rendered(t, in)
			obey(t, r)
			if len(r.objects) == 0 {
				t.Error("it has no objects")
			}
		})
	}
}

func TestTheNotesSayWhatToDoNext(t *testing.T) {
	t.Parallel()
	for name, values := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notes := rendered(t, install{values: values}).notes
			for _, word := range []string{"kubectl", namespace, "noteworks-gateway"} {
				if !strings.Contains(notes, word) {
					t.Errorf("they do not say %s:\n%s", word, notes)
				}
			}
		})
	}
}

// The edges of the design's picture, and no others.
func TestTheStacksEdgesAreTheDesigns(t *testing.T) {
	t.Parallel()
	r := rendered(t, install{values: map[string]any{
		"global": map[string]any{"tracing": map[string]any{"enabled": true}},
		"jaeger": map[string]any{"enabled": true},
	}})
	want := []string{
		"gateway -> jaeger:4318", "gateway -> nats:4222", "gateway -> note:8081", "gateway -> user:8081", "gateway -> user:8082",
		"nats -> nats:6222", "note -> jaeger:4318", "note -> nats:4222", "note -> postgres:5432", "note -> user:8082",
		"user -> jaeger:4318", "user -> nats:4222", "user -> note:8082", "user -> postgres:5432",
	}
	found, faults := edges(r, "Egress")
	if len(faults) > 0 {
		t.Error(faults)
	}
	var got []string
	for _, e := range found {
		got = append(got, e.String())
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
