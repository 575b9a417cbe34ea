package v1alpha1_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/apitest"
)

const crdFile = "../../../config/crd/noteworks.dev_noteworkspaces.yaml"

func crd(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &definition); err != nil {
		t.Fatal(err)
	}
	return &definition
}

func TestTheDefinitionIsSmall(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) >= 30_000 {
		t.Errorf("%d bytes: people apply it by kubectl, which keeps a copy in an annotation, and read it", len(text))
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	var walk func(path string, s apiextensionsv1.JSONSchemaProps)
	walk = func(path string, s apiextensionsv1.JSONSchemaProps) {
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			child := s.Properties[name]
			if child.Description == "" {
				t.Errorf("kubectl explain says nothing of %s.%s", path, name)
			}
			walk(path+"."+name, child)
		}
		if s.Items != nil && s.Items.Schema != nil {
			walk(path+"[]", *s.Items.Schema)
		}
	}
	whole := crd(t).Spec.Versions[0].Schema.OpenAPIV3Schema
	walk("spec", whole.Properties["spec"])
	walk("status", whole.Properties["status"])
}

// What is left out stays left out: a default that were stored would be taken for a wish, also when the default has changed. Isolation alone is
// stored, since it can never change.
func TestASpecComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	for name, spec := range map[string]string{
		"a small one":      owner,
		"with empty parts": owner + "access: {}\nlimits: {}\nretention: {}",
		"a dedicated one":  dedicated("storage: {}, resources: {}"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := workspace(t, w.Namespace(t), "acme", spec)
			want := ws.DeepCopy().Object["spec"].(map[string]any)
			if want["isolation"] == nil {
				want["isolation"] = "Shared"
			}
			if err := w.Client.Create(t.Context(), ws); err != nil {
				t.Fatal(err)
			}
			if got := ws.Object["spec"]; !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// The types write and read what the schema takes, without adding to it.
func TestTheTypesAddNothingToASpec(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	ws := &v1alpha1.NoteWorkspace{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace(t), Name: "acme"}}
	ws.Spec.Owner.Email = "ann@example.org"
	if err := strictly(w.Client).Create(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ws.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"owner":{"email":"ann@example.org"},"isolation":"Shared"}`; string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestAStatusThatAnEditorForgesIsIgnored(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	namespace := w.Namespace(t)
	editor := editorOf(t, w, namespace)

	ws := workspace(t, namespace, "acme", owner)
	forged := map[string]any{"url": "https://evil.example.org", "workspaceID": "00000000-0000-0000-0000-000000000000"}
	ws.Object["status"] = forged
	if err := editor.Create(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if status, has := ws.Object["status"]; has {
		t.Errorf("a new workspace has the status %v", status)
	}
	ws.Object["status"] = forged
	if err := editor.Update(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if status, has := ws.Object["status"]; has {
		t.Errorf("a changed workspace has the status %v", status)
	}
	ws.Object["status"] = forged
	if err := editor.Status().Update(t.Context(), ws); err == nil {
		t.Error("an editor writes the status")
	}
}

// editorOf is a client of somebody who may edit workspaces in the namespace, and nothing else.
func editorOf(t *testing.T, w *apitest.World, namespace string) client.Client {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"noteworks.dev"}, Resources: []string{"noteworkspaces"}, Verbs: []string{"get", "create", "update"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "editor"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "editor"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "eve"}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := w.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return w.ClientAs(t, "eve")
}

func TestKubectlShowsWhatAnEngineerLooksFor(t *testing.T) {
	t.Parallel()
	w := apitest.Start(t)
	namespace := w.Namespace(t)
	ws := &v1alpha1.NoteWorkspace{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "acme"}}
	ws.Spec.Owner.Email = "ann@example.org"
	if err := w.Client.Create(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	ws.Status = v1alpha1.NoteWorkspaceStatus{
		URL:   "https://acme.notes.example.org",
		Usage: &v1alpha1.Usage{Members: 3, Notes: 14},
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Available", Message: "people can sign in", LastTransitionTime: metav1.Now(),
		}},
	}
	if err := w.Client.Status().Update(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"nw", "noteworkspace", "noteworks"} {
		out, err := w.Kubectl(t, "get", by, "--namespace", namespace)
		row := regexp.MustCompile(`(?m)^NAME +READY +REASON +ISOLATION +MEMBERS +NOTES +URL +AGE\n\S*acme +True +Available +Shared +3 +14 +https://acme.notes.example.org +\S+$`)
		if err != nil || !row.MatchString(out) {
			t.Errorf("kubectl get %s: %v\n%s", by, err, out)
		}
	}
	out, err := w.Kubectl(t, "explain", "nw.spec", "--recursive")
	if err != nil || !strings.Contains(out, "deletionPolicy") || !strings.Contains(out, "secretRef") {
		t.Errorf("kubectl explain: %v\n%s", err, out)
	}
	out, err = w.Kubectl(t, "explain", "nw.spec.deletionPolicy")
	if err != nil || !strings.Contains(out, "Retain, as if not set") || !strings.Contains(out, "ENUM") {
		t.Errorf("kubectl explain: %v\n%s", err, out)
	}
}
