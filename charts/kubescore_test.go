package charts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// An excuse is a finding of kube-score that we have decided to live with, on objects of one chart.
type excuse struct {
	check, kind, chart string // "" is any
	because            string
}

func excuses() []excuse {
	return []excuse{
		{"container-image-pull-policy", "", "", "Always asks the registry at each start; our tags do not move, and a pod must start while the registry is away"},
		{"container-security-context-user-group-id", "StatefulSet", "postgres", "999 is the account of the official image, to which its files belong"},
		{"networkpolicy-targets-pod", "NetworkPolicy", "postgres", "CloudNativePG makes the pods, which kube-score cannot know"},
	}
}

type scored struct {
	Meta struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"object_meta"`
	Type struct {
		Kind string `json:"kind"`
	} `json:"type_meta"`
	Checks []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Path        string `json:"path"`
			Summary     string `json:"summary"`
			Description string `json:"description"`
		} `json:"comments"`
	} `json:"checks"`
}

const critical = 1 // as kube-score's own grades: 5 warning, 7 almost, 10 all well

// score runs kube-score once over releases, each in a namespace of its own, and returns what is critical in each.
func score(t *testing.T, releases map[string]*release) map[string][]string {
	t.Helper()
	var input bytes.Buffer
	inNamespace := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(releases)) {
		place := fmt.Sprintf("release-%d", i)
		inNamespace[place] = name
		for _, o := range releases[name].objects {
			o := object{o.template, o.DeepCopyObject()}
			o.meta().SetNamespace(place)
			text, err := yaml.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&input, "---\n%s", text)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "tool", "kube-score", "score", "--output-format=json", "--kubernetes-version=v1.37", "-")
	command.Dir = "../tools/kubescore"
	command.Stdin = &input
	var output, said bytes.Buffer
	command.Stdout, command.Stderr = &output, &said
	failed := command.Run() // it exits with 1 when something is critical
	var objects []scored
	if err := json.Unmarshal(output.Bytes(), &objects); err != nil || len(objects) == 0 {
		t.Fatalf("kube-score: %v, %v, %d objects\n%s", failed, err, len(objects), said.String())
	}
	found := map[string][]string{}
	for _, o := range objects {
		for _, c := range o.Checks {
			if c.Skipped || c.Grade != critical {
				continue
			}
			if slices.ContainsFunc(excuses(), func(e excuse) bool {
				return e.check == c.Check.ID && (e.kind == "" || e.kind == o.Type.Kind) && (e.chart == "" || e.chart == o.Meta.Labels["app.kubernetes.io/component"])
			}) {
				continue
			}
			for _, comment := range c.Comments {
				release := inNamespace[o.Meta.Namespace]
				found[release] = append(found[release], fmt.Sprintf("%s %s: %s: %s %s", o.Type.Kind, o.Meta.Name, c.Check.ID, comment.Path, comment.Summary))
			}
		}
	}
	return found
}

func TestKubeScoreFindsNothingCriticalInAnyProfile(t *testing.T) {
	t.Parallel()
	releases := map[string]*release{}
	for name, in := range installs(t) {
		releases[name] = rendered(t, in)
	}
	for name, faults := range score(t, releases) {
		t.Errorf("%s:\n\t%s", name, strings.Join(faults, "\n\t"))
	}
}

// The exceptions hold for what they name only.
func TestKubeScoreIsHeard(t *testing.T) {
	t.Parallel()
	r := rendered(t, install{})
	b := &broken{r, t}
	b.container().Resources.Limits = nil
	b.pod().SecurityContext.RunAsUser, b.container().SecurityContext.RunAsUser = ptr.To[int64](999), nil
	heard := strings.Join(score(t, map[string]*release{"broken": r})["broken"], "\n")
	for _, check := range []string{"container-resources", "container-security-context-user-group-id"} {
		if !strings.Contains(heard, "noteworks-note: "+check) {
			t.Errorf("nothing of %s in: %s", check, heard)
		}
	}
}
