//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"noteworks.dev/test/client"
	"noteworks.dev/test/e2e/forward"
)

// release is what the suite calls its installations.
const release = "noteworks"

// allCharts of the dev stack.
func allCharts() []string { return []string{"user", "note", "gateway", "nats", "postgres", "jaeger"} }

// stack is one installation in a namespace of its own, which accepts restricted pods only.
type stack struct {
	*cluster
	namespace string
	logbook   *logbook
	tunnels   *forward.Tunnels
	ctx       context.Context // of the whole life of the stack
	end       context.CancelFunc

	mu       sync.Mutex
	listener map[string]*forward.Listener // by "service port"

	installed time.Duration // what `helm install --wait` took
}

// shared is the installation of the stories that leave it as they found it.
var shared = sync.OnceValues(func() (*stack, error) { //nolint:gochecknoglobals // the once of the run
	s, err := newStack()
	if err != nil {
		return nil, err
	}
	keep.Lock()
	keep.stacks = append(keep.stacks, s)
	keep.Unlock()
	return s, s.install("--wait")
})

// keep holds what TestMain has to remove.
var keep struct { //nolint:gochecknoglobals // the once of the run
	sync.Mutex
	stacks []*stack
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range keep.stacks {
		if err := s.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// sharedStack returns the shared installation, on which a failing test reports.
func sharedStack(t *testing.T) *stack {
	t.Helper()
	s, err := shared()
	if s != nil {
		t.Cleanup(func() { s.report(t) })
	}
	must(t, err)
	eventually(t, 2*time.Minute, "what the story before has left is ready", s.runs())
	return s
}

// ownStack is a namespace for one story alone; nothing is installed in it yet.
func ownStack(t *testing.T) *stack {
	t.Helper()
	s, err := newStack()
	must(t, err)
	t.Cleanup(func() {
		s.report(t)
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newStack() (*stack, error) {
	c, err := theCluster()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	s := &stack{cluster: c, namespace: "noteworks-e2e-" + strings.ToLower(rand.Text()[:6]), ctx: ctx, end: end, listener: map[string]*forward.Listener{}}
	_, err = c.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
	}}}, metav1.CreateOptions{})
	if err != nil {
		end()
		return nil, err
	}
	s.tunnels = forward.NewTunnels(c.config, c.kube, s.namespace)
	s.logbook = openLogbook(ctx, c.kube, s.namespace)
	return s, nil
}

// remove deletes the namespace, which E2E_KEEP=1 leaves for a look, and says what the logs hold that they should not.
func (s *stack) remove() error {
	s.end()
	s.logbook.close()
	var wrong error
	if lines := s.logbook.errors(); len(lines) > 0 {
		wrong = fmt.Errorf("unexpected lines in the logs of %s:\n%s", s.namespace, strings.Join(lines, "\n"))
	}
	for _, l := range s.listener {
		l.Close()
	}
	s.tunnels.Close()
	if os.Getenv("E2E_KEEP") != "" {
		fmt.Printf("kept: namespace %s\n", s.namespace)
		return wrong
	}
	const patience = 3 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.kube.CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{}); err != nil {
		return errors.Join(wrong, err)
	}
	// Nobody is there any more to say good-bye to.
	if err := s.kube.CoreV1().Pods(s.namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](1)}, metav1.ListOptions{}); err != nil {
		return errors.Join(wrong, err)
	}
	_, err := within(ctx, patience, func(ctx context.Context) error {
		_, err := s.kube.CoreV1().Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("namespace %s is still there", s.namespace), err)
	})
	return errors.Join(wrong, err)
}

// name is what the chart's objects are called.
func (s *stack) name(chart string) string { return release + "-" + chart }

// helm runs the helm command in the stack's namespace. Its error holds what helm said.
func (s *stack) helm(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.root, ".tools/bin/helm"), append(args, "--namespace", s.namespace)...)
	cmd.Dir = s.root
	var out, trouble strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, trouble.String())
	}
	return out.String(), nil
}

// values are the arguments that every install and upgrade gets: the profile dev, and the files that E2E_VALUES names, which may say
// where a cluster has its images.
func values() []string {
	args := []string{"--values", "charts/noteworks/values-dev.yaml"}
	for _, file := range strings.FieldsFunc(os.Getenv("E2E_VALUES"), func(r rune) bool { return r == ',' }) {
		args = append(args, "--values", file)
	}
	return args
}

// nextTag is the tag of images that are the same program under another name, for upgrades.
func nextTag() string { return cmp.Or(os.Getenv("E2E_NEXT_TAG"), "0.1.0-next") }

func (s *stack) install(args ...string) error {
	began := time.Now()
	_, err := s.helm(append(append([]string{"install", release, "charts/noteworks", "--timeout", "4m"}, values()...), args...)...)
	s.installed = time.Since(began)
	return err
}

func (s *stack) upgrade(args ...string) error {
	_, err := s.helm(append(append([]string{"upgrade", release, "charts/noteworks", "--timeout", "4m"}, values()...), args...)...)
	return err
}

// service is the address on this machine that leads to a port of a chart's Service.
func (s *stack) service(t *testing.T, chart, port string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := chart + " " + port
	if l := s.listener[key]; l != nil {
		return l.Addr()
	}
	source, err := forward.Watch(s.ctx, s.kube, s.namespace, s.name(chart), port)
	must(t, err)
	l, err := forward.Listen(source, s.tunnels)
	must(t, err)
	s.listener[key] = l
	return l.Addr()
}

// gateway is the address of the workspace.
func (s *stack) gateway(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(s.service(t, "gateway", "http"))
	must(t, err)
	return "http://localhost:" + port
}

// person signs somebody new up.
func (s *stack) person(t *testing.T, name string) *client.Client {
	t.Helper()
	c := client.New(s.gateway(t), nil)
	eventually(t, 20*time.Second, "sign up", func(ctx context.Context) error {
		return c.Register(ctx, fmt.Sprintf("%s-%s@example.com", strings.ToLower(name), strings.ToLower(rand.Text()[:8])), name, password)
	})
	return c
}

const password = "correct horse battery staple"
