package charts

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// falseAddresses finds URLs, in variables and in Secrets, whose host is a name inside the namespace and no Service with that port.
func falseAddresses(r *release) []string {
	faults := faultsOf(r, func(w workload, fault func(string, ...any)) {
		for _, c := range w.containers() {
			for _, e := range c.Env {
				for _, why := range unreachable(r, e.Value) {
					fault("%s: %s", e.Name, why)
				}
			}
		}
	})
	for secret, data := range secretData(r) {
		for key, value := range data {
			for _, why := range unreachable(r, value) {
				faults = append(faults, fmt.Sprintf("Secret %s: %s: %s", secret, key, why))
			}
		}
	}
	return faults
}

func unreachable(r *release, value string) []string {
	var faults []string
	for part := range strings.SplitSeq(value, ",") {
		u, err := url.Parse(part)
		if err != nil || u.Host == "" || u.Hostname() == "localhost" {
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(u.Hostname(), ".cluster.local"), "."+namespace+".svc")
		if strings.Contains(name, ".") || r.alone() && strings.HasPrefix(name, r.release) {
			continue // somewhere else
		}
		if port := u.Port(); !listens(r, name, port) {
			faults = append(faults, fmt.Sprintf("no Service %s has port %q", name, port))
		}
	}
	return faults
}

// listens says whether a Service leads to a port. A headless one leads to its pods' ports, whatever it says itself.
func listens(r *release, name, port string) bool {
	if cluster, found := strings.CutSuffix(name, "-rw"); found {
		if _, operated := named[*cnpgCluster](r, cluster); operated {
			return port == "5432"
		}
	}
	s, found := named[*corev1.Service](r, name)
	if !found {
		return false
	}
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		for _, w := range selectedBy(r, labels.SelectorFromSet(s.Spec.Selector)) {
			if _, has := w.port(port); !has {
				return false
			}
		}
		return true
	}
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return portNumber(p.Port) == port })
}

// unknownSettings finds variables of our own programs that nothing in their source reads: a service ignores what it does not know, so a
// misspelt setting would never be missed.
func unknownSettings(r *release) []string {
	runtimes := []string{"POD_NAME", "GOMEMLIMIT", "GOMAXPROCS"} // Go's, and what other variables are made of
	return faultsOf(r, func(w workload, fault func(string, ...any)) {
		program := component(w)
		read, ours := settings()[program]
		if !ours {
			return
		}
		read = slices.Concat(read, runtimes)
		for _, c := range w.containers() {
			for _, e := range c.Env {
				if !slices.Contains(read, e.Name) && !slices.Contains(read, strings.TrimSuffix(e.Name, "_FILE")) {
					fault("container %s sets %s, which %s does not read", c.Name, e.Name, program)
				}
			}
		}
	})
}

// settings are the names that each program's source reads, its own and, of services, the kit's.
//
//nolint:gochecknoglobals // made once, and only read
var settings = sync.OnceValue(func() map[string][]string {
	kit := settingsIn("../services/internal/*/*.go")
	found := map[string][]string{}
	for _, service := range []string{"user", "note", "gateway"} {
		found[service] = append(settingsIn("../services/"+service+"/server/*.go"), kit...)
	}
	found["noteworks-operator"] = settingsIn("../operator/server/*.go")
	return found
})

func settingsIn(pattern string) []string {
	tag := regexp.MustCompile(`env:"([A-Z0-9_]+)|envPrefix:"([A-Z0-9_]+)"`)
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		panic(pattern + ": no such files")
	}
	var names, prefixes []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		for _, found := range tag.FindAllStringSubmatch(string(text), -1) {
			if found[1] != "" {
				names = append(names, found[1])
			} else {
				prefixes = append(prefixes, found[2])
			}
		}
	}
	for _, prefix := range prefixes {
		for _, name := range []string{"URL", "TOKEN", "TIMEOUT"} {
			names = append(names, prefix+name)
		}
	}
	return names
}
