package apitest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

func TestATestHasANamespaceOfItsOwnAndUsersWithTheirRights(t *testing.T) {
	t.Parallel()
	w := Start(t)
	namespace := w.Namespace(t)
	if other := w.Namespace(t); other == namespace {
		t.Fatalf("two namespaces are called %s", other)
	}
	workspace := &v1alpha1.NoteWorkspace{Spec: v1alpha1.NoteWorkspaceSpec{Owner: v1alpha1.Owner{Email: "ann@example.org"}}}
	workspace.Namespace, workspace.Name = namespace, "acme"
	if err := w.Client.Create(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}

	nobody := w.ClientAs(t, "nobody")
	if err := nobody.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights lists Secrets: %v", err)
	}
	if out, err := w.Kubectl(t, "get", "nw", "-n", namespace); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
