package tilt

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestOnlyAClusterOfThisMachineWillDo(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]machine{
		"a cloud's":                      {"gke_notes_europe-west1_prod", "https://34.90.1.2"},
		"a cloud's, behind a tunnel":     {"gke_notes_europe-west1_prod", "https://127.0.0.1:6443"},
		"none":                           {"", ""},
		"one that only is called local":  {"kind-prod", "https://10.1.2.3:6443"},
		"one whose name begins the same": {"kind-prod", "https://127.0.0.1.example.org:6443"},
	} {
		w, err := run(t, m)
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: the Tiltfile goes on: %v", name, err)
		}
		if len(w.objects)+len(w.builds)+len(w.locals)+len(w.allowed) > 0 {
			t.Errorf("%s: something was asked for before the refusal", name)
		}
	}
	for _, server := range []string{"https://127.0.0.1:41234", "https://localhost:41234", "https://[::1]:41234"} {
		w, err := run(t, machine{"kind-noteworks", server})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.allowed, []string{"kind-noteworks"}) {
			t.Errorf("it allows %v", w.allowed)
		}
	}
}

func tiltfile(t *testing.T) *world {
	t.Helper()
	w, err := run(t, laptop())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEveryObjectBelongsToAResource(t *testing.T) {
	t.Parallel()
	w := tiltfile(t)
	taken := map[string]int{}
	for _, r := range w.resources {
		if r.workload != "" {
			if !slices.ContainsFunc(w.objects, func(o object) bool { return o.workload() && o.name() == r.workload }) {
				t.Errorf("%s: there is no workload %s", r.name, r.workload)
			}
			taken[r.workload]++
		}
		for _, o := range r.objects {
			taken[strings.ToLower(o)]++
		}
	}
	for _, o := range w.objects {
		key := strings.ToLower(o.name() + ":" + o.kind())
		switch {
		case o.workload():
			key = o.name()
		case o.kind() == "Service": // Tilt gives it to the workload that it selects
			continue
		}
		if taken[key] != 1 {
			t.Errorf("%s %s belongs to %d resources", o.kind(), o.name(), taken[key])
		}
		delete(taken, key)
	}
	for left := range taken {
		t.Errorf("a resource wants %s, which the charts do not make", left)
	}
}

func TestResourcesAreGroupedAndWaitForWhatIsThere(t *testing.T) {
	t.Parallel()
	w := tiltfile(t)
	groups, names := map[string]int{}, map[string]bool{}
	for _, r := range w.resources {
		names[r.name] = true
	}
	for _, l := range w.locals {
		names[l.name] = true
	}
	check := func(name string, labels, deps []string) {
		for _, label := range labels {
			groups[label]++
		}
		if len(labels) != 1 {
			t.Errorf("%s is in the groups %v", name, labels)
		}
		for _, dep := range deps {
			if !names[dep] {
				t.Errorf("%s waits for %s, which is nothing", name, dep)
			}
		}
	}
	for _, r := range w.resources {
		check(r.name, r.labels, r.deps)
	}
	for _, l := range w.locals {
		check(l.name, l.labels, l.after)
		if slices.Contains(l.labels, "tests") && (l.automatic || !l.onClick) {
			t.Errorf("%s runs without being asked to", l.name)
		}
	}
	for _, group := range []string{"app", "data", "observability", "tests"} {
		if groups[group] == 0 {
			t.Errorf("nothing is in the group %s", group)
		}
	}
	if len(groups) != 4 {
		t.Errorf("the groups are %v", groups)
	}
	for _, button := range []string{"seed", "end-to-end", "load"} {
		if !names[button] {
			t.Errorf("there is no button %s", button)
		}
	}
}

func TestImagesAreThoseOfTheCharts(t *testing.T) {
	t.Parallel()
	w := tiltfile(t)
	used := map[string]bool{}
	for _, o := range w.objects {
		for _, c := range o.containers() {
			image, _ := c["image"].(string)
			used[image[:strings.LastIndex(image, ":")]] = true
		}
	}
	built := map[string]bool{}
	for _, b := range w.builds {
		built[b.ref] = true
		if !used[b.ref] {
			t.Errorf("%s is built, and no pod uses it", b.ref)
		}
		if !b.skipsDocker {
			t.Errorf("%s is expected in Docker, where it is not put", b.ref)
		}
		service := strings.TrimPrefix(b.ref, "noteworks/")
		for _, s := range b.steps {
			if !slices.Contains(b.deps, s.local) {
				t.Errorf("%s: %s is not among what is watched, %v", b.ref, s.local, b.deps)
			}
			if s.kind == "sync" && (s.remote != "/"+service || s.local != "dist/dev/"+service) {
				t.Errorf("%s: %s goes to %s", b.ref, s.local, s.remote)
			}
		}
		for _, fault := range commandFaults(t, b.command) {
			t.Errorf("%s: %s", b.ref, fault)
		}
		if !strings.Contains(b.command, "REF=$EXPECTED_REF") || !strings.Contains(b.command, "SERVICE="+service+" ") {
			t.Errorf("%s is built by %s", b.ref, b.command)
		}
	}
	for ref := range used {
		if strings.HasPrefix(ref, "noteworks/") && !built[ref] {
			t.Errorf("%s is used by pods and not built", ref)
		}
	}
}

func TestCommandsAndFilesAreThere(t *testing.T) {
	t.Parallel()
	w := tiltfile(t)
	for _, l := range w.locals {
		if l.cmd == "" && l.serve == "" {
			t.Errorf("%s does nothing", l.name)
		}
		for _, command := range []string{l.cmd, l.serve} {
			for _, fault := range commandFaults(t, command) {
				t.Errorf("%s: %s", l.name, fault)
			}
		}
		for _, dep := range append(l.deps, w.watched...) {
			if _, err := os.Stat(filepath.Join(root, dep)); err != nil {
				t.Errorf("%s watches %s: %v", l.name, dep, err)
			}
		}
	}
}

// commandFaults are why a command could not run: a target that the Makefile does not have, a script or a program that is not there.
func commandFaults(t *testing.T, line string) []string {
	t.Helper()
	var faults []string
	for command := range strings.SplitSeq(line, "&&") {
		words := strings.Fields(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(command, "quoted"))
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "make":
			for _, word := range words[1:] {
				if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && !targets(t)[word] {
					faults = append(faults, "there is no make "+word)
				}
			}
		case "go":
			if _, err := os.Stat(filepath.Join(root, words[2], "main.go")); words[1] != "run" || err != nil {
				faults = append(faults, "there is no program for "+command)
			}
		case "kubectl":
			if _, err := os.Stat(filepath.Join(root, words[len(words)-1])); err != nil || !slices.Equal(words[1:3], []string{"apply", "-f"}) {
				faults = append(faults, "there is nothing to apply by "+command)
			}
		case "npm":
			if !strings.Contains(command, "--prefix web") || !scripts(t)["dev"] || !slices.Contains(words, "dev") {
				faults = append(faults, "there is no script for "+command)
			}
		default:
			faults = append(faults, "unknown: "+command)
		}
	}
	return faults
}

// targets are what the Makefile makes, its variables put in.
func targets(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	text := read(t, "Makefile")
	variables := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+) :?= (\S+)$`).FindAllStringSubmatch(text, -1) {
		variables["$("+m[1]+")"] = m[2]
	}
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z0-9_./$()-]+):`).FindAllStringSubmatch(text, -1) {
		name := m[1]
		if value, ok := variables[name]; ok {
			name = value
		}
		all[name] = true
	}
	return all
}

func scripts(t *testing.T) map[string]bool {
	t.Helper()
	var p struct{ Scripts map[string]string }
	if err := json.Unmarshal([]byte(read(t, "web/package.json")), &p); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for name := range p.Scripts {
		all[name] = true
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type kindConfig struct {
	Name  string
	Nodes []struct {
		Role, Image       string
		ExtraPortMappings []struct {
			ContainerPort, HostPort int
			ListenAddress           string
		}
		ExtraMounts []struct {
			HostPath, ContainerPath string
			ReadOnly                bool
		}
	}
}

func kind(t *testing.T) kindConfig {
	t.Helper()
	var c kindConfig
	if err := yaml.UnmarshalStrict([]byte(withoutType(read(t, "kind-config.yaml"))), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func withoutType(text string) string {
	return regexp.MustCompile(`(?m)^(kind|apiVersion): .*$`).ReplaceAllString(text, "")
}

func TestPortsDoNotClashAndLeadSomewhere(t *testing.T) {
	t.Parallel()
	w, taken := tiltfile(t), map[int]string{10350: "Tilt itself"}
	take := func(port int, by string) {
		if other, twice := taken[port]; twice {
			t.Errorf("port %d is wanted by %s and by %s", port, by, other)
		}
		taken[port] = by
	}
	for _, n := range kind(t).Nodes {
		for _, m := range n.ExtraPortMappings {
			take(m.HostPort, "kind")
			if m.ListenAddress != "127.0.0.1" {
				t.Errorf("port %d listens on %q, for everybody", m.HostPort, m.ListenAddress)
			}
		}
	}
	for _, l := range w.locals {
		if l.probe != 0 {
			take(l.probe, l.name)
		}
	}
	for _, r := range w.resources {
		for _, f := range r.forwards {
			take(f.local, r.name)
			if !declares(w, r.workload, f.container) {
				t.Errorf("%s: %s has no port %d", f.name, r.workload, f.container)
			}
		}
	}
	for _, l := range allLinks(w) {
		u, err := url.Parse(l.url)
		if err != nil || u.Scheme != "http" || u.Hostname() != "localhost" && !strings.HasSuffix(u.Hostname(), ".localhost") || l.name == "" {
			t.Errorf("the link %q leads to %q: %v", l.name, l.url, err)
			continue
		}
		port, _ := strconv.Atoi(u.Port())
		if taken[port] == "" {
			t.Errorf("nobody listens at %s", l.url)
		}
	}
}

func allLinks(w *world) []link {
	var all []link
	for _, r := range w.resources {
		all = append(all, r.links...)
		for _, f := range r.forwards {
			all = append(all, link{fmt.Sprintf("http://localhost:%d%s", f.local, f.path), f.name})
		}
	}
	for _, l := range w.locals {
		all = append(all, l.links...)
	}
	return all
}

func declares(w *world, workload string, port int) bool {
	for _, o := range w.objects {
		if o.name() != workload || !o.workload() {
			continue
		}
		for _, c := range o.containers() {
			ports, _ := c["ports"].([]any)
			for _, p := range ports {
				if m, ok := p.(map[string]any); ok && fmt.Sprint(m["containerPort"]) == strconv.Itoa(port) {
					return true
				}
			}
		}
	}
	return false
}

func TestTheAppIsWhereKindMapsIt(t *testing.T) {
	t.Parallel()
	w, c := tiltfile(t), kind(t)
	if c.Name != "noteworks" || !strings.HasPrefix(c.Nodes[0].Image, "kindest/node:v1.") || !strings.Contains(c.Nodes[0].Image, "@sha256:") {
		t.Errorf("kind's cluster is %q, its node %s", c.Name, c.Nodes[0].Image)
	}
	for _, m := range c.Nodes[0].ExtraMounts {
		if _, err := os.Stat(filepath.Join(root, m.HostPath)); err != nil {
			t.Errorf("kind mounts %s: %v", m.HostPath, err)
		}
	}
	for _, o := range w.objects {
		if o.kind() != "Service" || o.name() != "noteworks-gateway" {
			continue
		}
		ports, _ := o.at("spec", "ports").([]any)
		first, _ := ports[0].(map[string]any)
		node, app := fmt.Sprint(first["nodePort"]), c.Nodes[0].ExtraPortMappings[0]
		if node != strconv.Itoa(app.ContainerPort) || app.HostPort != 8080 {
			t.Errorf("the gateway is at the node's port %s, and kind maps %d to %d", node, app.ContainerPort, app.HostPort)
		}
		return
	}
	t.Error("the gateway has no Service")
}
