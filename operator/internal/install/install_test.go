// Package install_test holds what people install the operator with, the charts, kustomize's folders and the samples, against each other and
// against an API server.
package install_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"noteworks.dev/charts"
	"noteworks.dev/operator/internal/apitest"
)

const config = "../../../config"

// documents returns the objects of a stream of YAML, by kind and name.
func documents(t *testing.T, text string) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(o.Object) > 0 {
			found[o.GetKind()+" "+o.GetName()] = o
		}
	}
	return found
}

// installed returns what `helm install` of a chart with its default values brings.
func installed(t *testing.T, chart string) map[string]*unstructured.Unstructured {
	t.Helper()
	loaded, err := charts.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	values, err := util.ToRenderValues(loaded, nil, common.ReleaseOptions{Name: chart, Namespace: "noteworks", IsInstall: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(loaded, values)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*unstructured.Unstructured{}
	for name, text := range files {
		if filepath.Ext(name) == ".yaml" {
			maps.Copy(found, documents(t, text))
		}
	}
	return found
}

func kustomized(t *testing.T, w *apitest.World, folder string) string {
	t.Helper()
	out, err := w.Kubectl(t, "kustomize", filepath.Join(config, folder))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

// bare is an object without what says by which way it was installed.
func bare(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	o = o.DeepCopy()
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	maps.DeleteFunc(labels, func(key, _ string) bool {
		return key == "helm.sh/chart" || strings.HasPrefix(key, "app.kubernetes.io/")
	})
	delete(annotations, "helm.sh/resource-policy")
	o.SetLabels(labels)
	o.SetAnnotations(annotations)
	text, err := json.MarshalIndent(o.Object, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHelmAndKustomizeInstallTheSame(t *testing.T) {
	t.Parallel()
	byHelm := installed(t, charts.Operator)
	maps.Copy(byHelm, installed(t, charts.CRDs))
	byKustomize := documents(t, kustomized(t, apitest.Start(t), "default"))
	delete(byKustomize, "Namespace noteworks") // Helm has --create-namespace
	if got, want := slices.Sorted(maps.Keys(byKustomize)), slices.Sorted(maps.Keys(byHelm)); !slices.Equal(got, want) {
		t.Fatalf("by kustomize %q\nby Helm      %q", got, want)
	}
	for name, o := range byHelm {
		if helm, kustomize := bare(t, o), bare(t, byKustomize[name]); helm != kustomize {
			t.Errorf("%s differs\nby Helm      %s\nby kustomize %s", name, helm, kustomize)
		}
	}
}

// What kustomize installs is what the API server takes, and the operator's account may then do what the next test says.
func TestTheOperatorMayDoWhatItHasToAndNoMore(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	if out, err := w.Kubectl(t, "apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", filepath.Join(config, "default")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		may bool
		do  string
	}{
		{true, "list noteworkspaces --all-namespaces"},
		{true, "patch noteworkspaces --subresource=status"},
		{true, "update noteworkspaces --subresource=finalizers"},
		{false, "create noteworkspaces"},
		{false, "delete noteworkspaces"},
		{false, "patch customresourcedefinitions"},

		{true, "get secrets/acme-owner"},
		{true, "create secrets"},
		{false, "list secrets"},
		{false, "list secrets --all-namespaces"},
		{false, "watch secrets"},
		{false, "deletecollection secrets"},

		{true, "patch deployments"},
		{true, "watch statefulsets.apps --all-namespaces"},
		{true, "delete services"},
		{true, "patch persistentvolumeclaims"},
		{false, "create persistentvolumeclaims"},
		{false, "deletecollection persistentvolumeclaims"},
		{true, "list pods"},
		{false, "create pods"},
		{false, "create pods --subresource=exec"},
		{false, "get pods --subresource=log"},
		{true, "get namespaces/team"},
		{false, "delete namespaces"},
		{false, "get nodes"},

		{true, "create serviceaccounts/noteworks-operator --subresource=token -n noteworks"},
		{false, "create serviceaccounts/default --subresource=token -n noteworks"},
		{false, "create serviceaccounts/noteworks-operator --subresource=token -n team"},
		{true, "update leases/noteworks-operator -n noteworks"},
		{false, "update leases/another -n noteworks"},
		{false, "update leases/noteworks-operator -n kube-system"},

		{false, "create clusterroles"},
		{false, "bind clusterroles"},
		{false, "create rolebindings"},
		{false, "impersonate users"},
	} {
		t.Run(c.do, func(t *testing.T) {
			t.Parallel()
			arguments := append([]string{"auth", "can-i", "--as=system:serviceaccount:noteworks:noteworks-operator"}, strings.Fields(c.do)...)
			out, err := w.Kubectl(t, arguments...)
			answer := lastLine(out)
			if want := map[bool]string{true: "yes", false: "no"}[c.may]; answer != want {
				t.Errorf("it answers %q: %v", out, err)
			}
		})
	}
}

// lastLine is behind kubectl's warnings.
func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func TestPeoplesRolesHoldForWorkspaces(t *testing.T) {
	t.Parallel()
	objects := documents(t, kustomized(t, apitest.Start(t), "rbac"))
	for role, want := range map[string]struct {
		into  []string
		verbs string
	}{
		"ClusterRole noteworks-operator-view": {[]string{"view", "edit", "admin"}, "get,list,watch"},
		"ClusterRole noteworks-operator-edit": {[]string{"edit", "admin"}, "create,update,patch,delete,deletecollection"},
	} {
		o := objects[role]
		if o == nil {
			t.Errorf("there is no %s", role)
			continue
		}
		for _, into := range []string{"view", "edit", "admin"} {
			if got := o.GetLabels()["rbac.authorization.k8s.io/aggregate-to-"+into] == "true"; got != slices.Contains(want.into, into) {
				t.Errorf("%s is aggregated to %s: %v", role, into, got)
			}
		}
		if !strings.Contains(strings.NewReplacer("[", "", "]", "", " ", ",").Replace(fmt.Sprint(o.Object["rules"])), want.verbs) {
			t.Errorf("%s does not allow %s: %v", role, want.verbs, o.Object["rules"])
		}
	}
}

func TestEverySampleIsTaken(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	files, err := filepath.Glob(config + "/samples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	together := w.Namespace(t) // one after the other, as people try them: no two have one name or slug
	slugs := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := w.KubectlReading(t, string(text), "apply", "--validate=strict", "-n", together, "-f", "-"); err != nil || strings.Contains(out, "Warning") {
			t.Errorf("%s: %v: %s", file, err, out)
		}
		if !bytes.HasPrefix(text, []byte("# ")) {
			t.Errorf("%s does not say what it is", file)
		}
		for name, o := range documents(t, string(text)) {
			slug, _, _ := unstructured.NestedString(o.Object, "spec", "slug")
			if before := slugs[slug]; slug != "" && before != "" {
				t.Errorf("%s: %s has the slug of %s", file, name, before)
			}
			slugs[slug] = file
		}
	}
}

// The guide's first commands name what is in the sample.
func TestTheFirstSampleIsTheGuides(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(config + "/samples/shared.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ws := documents(t, string(text))["NoteWorkspace acme"]
	if ws == nil {
		t.Fatal("it has no NoteWorkspace acme")
	}
	if slug, _, _ := unstructured.NestedString(ws.Object, "spec", "slug"); slug != "acme" {
		t.Errorf("its slug is %q", slug)
	}
}
