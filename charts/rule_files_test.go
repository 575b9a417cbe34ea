package charts

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// malformedFiles reads the files in ConfigMaps and Secrets as their readers will: Kubernetes does not care what is in them.
func malformedFiles(r *release) []string {
	var faults []string
	check := func(of, name, text string) {
		if err := parse(name, text); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %s: %v", of, name, err))
		}
	}
	for _, c := range all[*corev1.ConfigMap](r) {
		for name, text := range c.Data {
			check("ConfigMap "+c.Name, name, text)
		}
	}
	for secret, data := range secretData(r) {
		for name, text := range data {
			check("Secret "+secret, name, text)
		}
	}
	return faults
}

func parse(name, text string) error {
	switch {
	case strings.HasSuffix(name, ".json"):
		var content any
		return json.Unmarshal([]byte(text), &content)
	case strings.HasSuffix(name, ".yaml"), strings.HasSuffix(name, ".yml"):
		var content any
		return yaml.UnmarshalStrict([]byte(text), &content)
	case strings.HasSuffix(name, ".conf"):
		// Without what only the pod has: its variables, and the file beside it, which is looked at on its own.
		text = regexp.MustCompile(`\$[A-Z][A-Z_]*\b`).ReplaceAllString(text, "example")
		text = regexp.MustCompile(`(?m)^\s*include .*$`).ReplaceAllString(text, "")
		_, err := conf.Parse(text)
		return err
	}
	return nil
}
