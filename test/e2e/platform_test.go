//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/test/client"
	"noteworks.dev/test/e2e/forward"
)

const operatorRelease = "noteworks-operator"

// platform is an installed stack with the operator beside it.
type platform struct {
	*stack
	api ctrl.Client
}

// operated is the platform of all stories about the operator.
var operated = sync.OnceValues(func() (*platform, error) { //nolint:gochecknoglobals // the once of the run
	s, err := newStack()
	if err != nil {
		return nil, err
	}
	keep.Lock()
	keep.stacks = append(keep.stacks, s)
	keep.Unlock()
	p := &platform{stack: s}
	if p.api, err = apiClient(s.config); err != nil {
		return p, err
	}
	return p, p.installOperator()
})

func apiClient(config *rest.Config) (ctrl.Client, error) {
	log.SetLogger(logr.Discard()) // or the library complains that nobody listens
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return ctrl.New(config, ctrl.Options{Scheme: scheme})
}

// installOperator does what docs/operator.md says.
func (p *platform) installOperator() error {
	if _, err := p.helm("install", "noteworks-crds", "charts/noteworks-crds"); err != nil {
		return err
	}
	if err := p.install("--wait", "--set-json", "user.workspaces=[]",
		"--set", "user.rpc.callers.operator="+p.namespace+"/"+operatorRelease); err != nil {
		return err
	}
	_, err := p.helm(p.operatorArgs("install")...)
	return err
}

func (p *platform) operatorArgs(verb string, more ...string) []string {
	args := []string{verb, operatorRelease, "charts/noteworks-operator", "--wait", "--timeout", "3m", "--values", "charts/noteworks-operator/values-dev.yaml",
		"--set", "global.tracing.enabled=true"}
	for _, file := range strings.FieldsFunc(os.Getenv("E2E_VALUES"), func(r rune) bool { return r == ',' }) {
		args = append(args, "--values", file)
	}
	return append(args, more...)
}

func thePlatform(t *testing.T) *platform {
	t.Helper()
	p, err := operated()
	if p != nil {
		t.Cleanup(func() { p.report(t) })
	}
	must(t, err)
	return p
}

// team is a namespace in which somebody applies workspaces.
type team struct {
	*platform
	ns      string
	tunnels *forward.Tunnels
}

// team makes a namespace for one story. Its workspaces go with it.
func (p *platform) team(t *testing.T) *team {
	t.Helper()
	ns, err := p.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "team-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	must(t, err)
	m := &team{platform: p, ns: ns.Name, tunnels: forward.NewTunnels(p.config, p.kube, ns.Name)}
	t.Cleanup(func() {
		m.reportTeam(t)
		m.tunnels.Close()
		if os.Getenv("E2E_KEEP") != "" {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		must(t, p.kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}))
		_, err := within(ctx, 2*time.Minute, func(ctx context.Context) error {
			if _, err := p.kube.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return errors.Join(errors.New("namespace "+ns.Name+" is still there"), err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	return m
}

// reportTeam prints what a person needs to find the cause of a failed story.
func (m *team) reportTeam(t *testing.T) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var b strings.Builder
	var all v1alpha1.NoteWorkspaceList
	if err := m.api.List(ctx, &all, ctrl.InNamespace(m.ns)); err != nil {
		fmt.Fprintln(&b, err)
	}
	for _, w := range all.Items {
		status, _ := yaml.Marshal(w.Status)
		fmt.Fprintf(&b, "=== %s\n%s\n", w.Name, status)
	}
	pods, _ := m.kube.CoreV1().Pods(m.ns).List(ctx, metav1.ListOptions{})
	for _, p := range pods.Items {
		fmt.Fprintf(&b, "%-40s %s\n", p.Name, stateOf(p))
	}
	events, _ := m.kube.CoreV1().Events(m.ns).List(ctx, metav1.ListOptions{})
	for _, e := range events.Items {
		if e.Type != corev1.EventTypeNormal {
			fmt.Fprintf(&b, "%s %s: %s\n", e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
	t.Log(b.String())
}

// sample is the NoteWorkspace of a file that people copy, under a slug of its own.
func sample(t *testing.T, root, file, slug string) *v1alpha1.NoteWorkspace {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config/samples", file))
	must(t, err)
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		var w v1alpha1.NoteWorkspace
		must(t, yaml.UnmarshalStrict([]byte(part), &w))
		if w.Kind == "NoteWorkspace" {
			w.Spec.Slug = slug
			return &w
		}
	}
	t.Fatalf("%s holds no NoteWorkspace", file)
	return nil
}

// newSlug is one that no other story has: all of them share the platform.
func newSlug(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:6]) }

func (m *team) apply(t *testing.T, w *v1alpha1.NoteWorkspace) {
	t.Helper()
	w.Namespace, w.ResourceVersion, w.UID = m.ns, "", ""
	w.Status = v1alpha1.NoteWorkspaceStatus{}
	must(t, m.api.Create(t.Context(), w))
}

// change patches the spec as `kubectl patch --type=merge` would.
func (m *team) change(t *testing.T, w *v1alpha1.NoteWorkspace, patch string) {
	t.Helper()
	must(t, m.api.Patch(t.Context(), w, ctrl.RawPatch(types.MergePatchType, []byte(patch))))
}

// becomes waits until a condition of the workspace's present generation has the status and, unless empty, the reason, and answers how long that took.
func (m *team) becomes(t *testing.T, w *v1alpha1.NoteWorkspace, limit time.Duration, condition string, status metav1.ConditionStatus, reason string) time.Duration {
	t.Helper()
	return eventually(t, limit, fmt.Sprintf("%s is %s=%s %s", w.Name, condition, status, reason), func(ctx context.Context) error {
		if err := m.api.Get(ctx, ctrl.ObjectKeyFromObject(w), w); err != nil {
			return err
		}
		c := meta.FindStatusCondition(w.Status.Conditions, condition)
		if c == nil || c.Status != status || reason != "" && c.Reason != reason || c.ObservedGeneration != w.Generation {
			return fmt.Errorf("it is %+v at generation %d", c, w.Generation)
		}
		return nil
	})
}

func (m *team) ready(t *testing.T, w *v1alpha1.NoteWorkspace, limit time.Duration) time.Duration {
	t.Helper()
	return m.becomes(t, w, limit, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

// gone deletes the workspace and waits until its object is away.
func (m *team) gone(t *testing.T, w *v1alpha1.NoteWorkspace, limit time.Duration) time.Duration {
	t.Helper()
	must(t, m.api.Delete(t.Context(), w))
	return eventually(t, limit, w.Name+" is deleted", func(ctx context.Context) error {
		var now v1alpha1.NoteWorkspace
		err := m.api.Get(ctx, ctrl.ObjectKeyFromObject(w), &now)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("it is still there: %+v", now.Status.Conditions), err)
	})
}

// site is the address on this machine of a workspace's gateway: the platform's, or that of a stack of its own.
func (m *team) site(t *testing.T, w *v1alpha1.NoteWorkspace) string {
	t.Helper()
	port := ""
	if w.Spec.Isolation == v1alpha1.IsolationDedicated {
		source, err := forward.Watch(m.ctx, m.kube, m.ns, m.dedicatedService(t, w, "gateway"), "http")
		must(t, err)
		l, err := forward.Listen(source, m.tunnels)
		must(t, err)
		t.Cleanup(l.Close)
		_, port, err = net.SplitHostPort(l.Addr())
		must(t, err)
	} else {
		var err error
		_, port, err = net.SplitHostPort(m.service(t, "gateway", "http"))
		must(t, err)
	}
	return "http://" + w.SlugOrName() + ".localhost:" + port
}

// dedicatedService is the name of a part's Service in a stack of one's own.
func (m *team) dedicatedService(t *testing.T, w *v1alpha1.NoteWorkspace, part string) string {
	t.Helper()
	list, err := m.kube.CoreV1().Services(m.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + part})
	must(t, err)
	if len(list.Items) != 1 {
		t.Fatalf("%s has %d Services of %s", w.Name, len(list.Items), part)
	}
	return list.Items[0].Name
}

// owner signs in as `kubectl get secret <name>-owner` says.
func (m *team) owner(t *testing.T, w *v1alpha1.NoteWorkspace) *client.Client {
	t.Helper()
	secret, err := m.kube.CoreV1().Secrets(m.ns).Get(t.Context(), w.Name+"-owner", metav1.GetOptions{})
	must(t, err)
	c := client.New(m.site(t, w), nil)
	eventually(t, 20*time.Second, "the owner signs in", func(ctx context.Context) error {
		return c.Login(ctx, string(secret.Data["email"]), string(secret.Data["password"]))
	})
	return c
}

func (m *team) guest(t *testing.T, at string) *client.Client {
	t.Helper()
	c := client.New(at, nil)
	eventually(t, 20*time.Second, "sign up", func(ctx context.Context) error {
		return c.Register(ctx, newSlug("bob")+"@example.com", "Bob", password)
	})
	return c
}
