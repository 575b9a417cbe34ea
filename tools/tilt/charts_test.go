package tilt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/strvals"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// template does what `helm template` does with these arguments, on a cluster that is empty.
func template(words []string) (string, error) {
	release, folder, namespace, values := words[0], words[1], "", map[string]any{}
	for rest := words[2:]; len(rest) > 0; {
		flag := rest[0]
		rest = rest[1:]
		if flag == "--dry-run=server" {
			continue
		}
		if len(rest) == 0 {
			return "", fmt.Errorf("helm template: %s lacks its value", flag)
		}
		given := rest[0]
		rest = rest[1:]
		switch flag {
		case "--namespace":
			namespace = given
		case "--kube-context":
		case "--values":
			text, err := os.ReadFile(filepath.Join(root, given))
			if err != nil {
				return "", err
			}
			more := map[string]any{}
			if err := yaml.Unmarshal(text, &more); err != nil {
				return "", err
			}
			values = util.MergeTables(more, values)
		case "--set":
			if err := strvals.ParseInto(given, values); err != nil {
				return "", err
			}
		default:
			return "", fmt.Errorf("helm template: unknown flag %s", flag)
		}
	}
	return render(release, folder, namespace, values)
}

func render(release, folder, namespace string, values map[string]any) (string, error) {
	loaded, err := loader.LoadDir(filepath.Join(root, folder))
	if err != nil {
		return "", err
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return "", err
	}
	top, err := util.ToRenderValues(loaded, values, common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}, nil)
	if err != nil {
		return "", err
	}
	rendered, err := engine.Render(loaded, top)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(name, ".yaml") {
			all.WriteString("---\n" + rendered[name] + "\n")
		}
	}
	return all.String(), nil
}

// An object is one of Kubernetes, as far as this test looks.
type object map[string]any

func objectsOf(text string) ([]object, error) {
	var all []object
	for documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(text), 4096); ; {
		var o object
		switch err := documents.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case len(o) > 0:
			all = append(all, o)
		}
	}
}

// at follows keys into nested maps.
func (o object) at(keys ...string) any {
	var here any = map[string]any(o)
	for _, k := range keys {
		m, ok := here.(map[string]any)
		if !ok {
			return nil
		}
		here = m[k]
	}
	return here
}

func (o object) kind() string { s, _ := o["kind"].(string); return s }
func (o object) name() string { s, _ := o.at("metadata", "name").(string); return s }

func (o object) workload() bool { return o.at("spec", "template", "spec") != nil }

// containers are all of a workload, those that prepare it first.
func (o object) containers() []object {
	var all []object
	for _, which := range []string{"initContainers", "containers"} {
		some, _ := o.at("spec", "template", "spec", which).([]any)
		for _, c := range some {
			if m, ok := c.(map[string]any); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

// starlarkOf gives a decoded document to the Tiltfile.
func starlarkOf(v any) (starlark.Value, error) {
	switch v := v.(type) {
	case nil:
		return starlark.None, nil
	case string:
		return starlark.String(v), nil
	case bool:
		return starlark.Bool(v), nil
	case int64:
		return starlark.MakeInt64(v), nil
	case float64:
		return starlark.Float(v), nil
	case []any:
		var all []starlark.Value
		for _, item := range v {
			value, err := starlarkOf(item)
			if err != nil {
				return nil, err
			}
			all = append(all, value)
		}
		return starlark.NewList(all), nil
	case map[string]any:
		d := starlark.NewDict(len(v))
		for key, item := range v {
			value, err := starlarkOf(item)
			if err == nil {
				err = d.SetKey(starlark.String(key), value)
			}
			if err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return nil, fmt.Errorf("a %T in YAML", v)
}
