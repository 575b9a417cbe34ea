// Package apitest gives each test a namespace of its own on a real Kubernetes API server, which knows NoteWorkspace and HTTPRoute.
//
// The server is one per test process, started by the first test that needs it and gone with the process, also after a panic or a kill. It is
// kube-apiserver on an etcd that does not flush, from tools/apiserver; `make tools` builds it. There are no controllers: nothing is collected, no
// namespace ever ends, and a Deployment makes no pods.
//
// Test-only. Imports testing, controller-runtime's envtest and the API types.
package apitest

import (
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgo "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"noteworks.dev/operator/api/v1alpha1"
)

// World is the API server as one test sees it.
type World struct {
	// Config is the administrator's, who may do everything. Copy it before changing it.
	Config *rest.Config
	// Client is the administrator's, without a cache.
	Client client.Client
	// Kubeconfig is a file that says the same to kubectl.
	Kubeconfig string

	kubectl string
}

// Start is the process's API server, started if it does not run yet. What a test leaves on it stays: work in a Namespace.
func Start(t testing.TB) *World {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("API server for the tests: %v", err)
	}
	w := &World{Config: rest.CopyConfig(s.config), Kubeconfig: s.kubeconfig, kubectl: s.kubectl}
	w.Client = clientOf(t, w.Config)
	return w
}

// Namespace makes one that no other test knows.
func (w *World) Namespace(t testing.TB) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := w.Client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// As is the configuration of a user, who may do what roles allow. A service account is system:serviceaccount:<namespace>:<name>.
func (w *World) As(user string, groups ...string) *rest.Config {
	config := rest.CopyConfig(w.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return config
}

// ClientAs is a client of As, without a cache.
func (w *World) ClientAs(t testing.TB, user string, groups ...string) client.Client {
	t.Helper()
	return clientOf(t, w.As(user, groups...))
}

// Kubectl runs it as the administrator and returns what it says, on either output; an error is its exit.
func (w *World) Kubectl(t testing.TB, arguments ...string) (string, error) {
	return w.KubectlReading(t, "", arguments...)
}

// KubectlReading is Kubectl with something to read: `kubectl apply -f -`.
func (w *World) KubectlReading(t testing.TB, input string, arguments ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), w.kubectl, append([]string{"--kubeconfig", w.Kubeconfig}, arguments...)...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return string(out), err
}

// Scheme has the types that the operator's tests read and write.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgo.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // two types of one name: no test would compile a scheme like that
		}
	}
	return scheme
}

func clientOf(t testing.TB, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
