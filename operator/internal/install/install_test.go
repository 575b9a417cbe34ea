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
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	const own, team, everywhere = "noteworks", "team", ""
	for _, c := range []struct {
		may               bool
		verb, what, named string // what as kubectl has it: deployments.apps, pods/exec
		in                string
	}{
		{true, "list", "noteworkspaces.noteworks.dev", "", everywhere},
		{true, "patch", "noteworkspaces.noteworks.dev/status", "acme", team},
		{true, "update", "noteworkspaces.noteworks.dev/finalizers", "acme", team},
		{false, "create", "noteworkspaces.noteworks.dev", "", team},
		{false, "delete", "noteworkspaces.noteworks.dev", "acme", team},
		{false, "patch", "customresourcedefinitions.apiextensions.k8s.io", "noteworkspaces.noteworks.dev", everywhere},

		{true, "get", "secrets", "acme-owner", team},
		{true, "create", "secrets", "", team},
		{false, "list", "secrets", "", team},
		{false, "list", "secrets", "", everywhere},
		{false, "list", "secrets", "", own},
		{false, "watch", "secrets", "", everywhere},
		{false, "deletecollection", "secrets", "", team},

		{true, "patch", "deployments.apps", "acme-nw-note", team},
		{true, "watch", "statefulsets.apps", "", everywhere},
		{true, "delete", "services", "acme-nw-note", team},
		{true, "patch", "persistentvolumeclaims", "data-acme-nw-postgres-0", team},
		{false, "create", "persistentvolumeclaims", "", team},
		{false, "deletecollection", "persistentvolumeclaims", "", team},
		{true, "list", "pods", "", team},
		{false, "create", "pods", "", team},
		{false, "create", "pods/exec", "acme-nw-note", team},
		{false, "get", "pods/log", "acme-nw-note", team},
		{true, "get", "namespaces", team, everywhere},
		{false, "delete", "namespaces", team, everywhere},
		{false, "get", "nodes", "node-1", everywhere},

		{true, "create", "serviceaccounts/token", "noteworks-operator", own},
		{false, "create", "serviceaccounts/token", "default", own},
		{false, "create", "serviceaccounts/token", "noteworks-operator", team},
		{true, "update", "leases.coordination.k8s.io", "noteworks-operator", own},
		{false, "update", "leases.coordination.k8s.io", "another", own},
		{false, "update", "leases.coordination.k8s.io", "noteworks-operator", "kube-system"},

		{false, "create", "clusterroles.rbac.authorization.k8s.io", "", everywhere},
		{false, "bind", "clusterroles.rbac.authorization.k8s.io", "cluster-admin", everywhere},
		{false, "create", "rolebindings.rbac.authorization.k8s.io", "", team},
		{false, "impersonate", "users", "", everywhere},
	} {
		t.Run(strings.Join([]string{c.verb, c.what, c.named, "in", c.in}, " "), func(t *testing.T) {
			t.Parallel()
			kind, sub, _ := strings.Cut(c.what, "/")
			kind, group, _ := strings.Cut(kind, ".")
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:noteworks:noteworks-operator",
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: c.verb, Group: group, Resource: kind, Subresource: sub, Name: c.named, Namespace: c.in,
				},
			}}
			if err := w.Client.Create(t.Context(), review); err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed != c.may {
				t.Errorf("it answers %v: %s", review.Status.Allowed, review.Status.Reason)
			}
		})
	}
}

// The same by a request itself: the API server refuses it to the operator's account.
func TestTheOperatorIsDeniedTheListOfSecrets(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	operator := w.ClientAs(t, "system:serviceaccount:noteworks:noteworks-operator", "system:serviceaccounts", "system:serviceaccounts:noteworks")
	for _, in := range []client.ListOption{client.InNamespace(""), client.InNamespace(w.Namespace(t)), client.InNamespace("noteworks")} {
		if err := operator.List(t.Context(), &corev1.SecretList{}, in); !apierrors.IsForbidden(err) {
			t.Errorf("in %v: %v", in, err)
		}
	}
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
