//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// cluster is the one that KUBECONFIG names.
type cluster struct {
	config *rest.Config
	kube   kubernetes.Interface
	root   string // of the repository
}

var theCluster = sync.OnceValues(func() (*cluster, error) { //nolint:gochecknoglobals // the once of the run
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return nil, errors.New("KUBECONFIG is not set; it should name the cluster to test on")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	config.WarningHandler = rest.NoWarnings{}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	root, err := filepath.Abs("../..")
	return &cluster{config: config, kube: kube, root: root}, err
})

// eventually repeats ask until it answers nil, and fails with its last error when the time is up.
func eventually(t *testing.T, limit time.Duration, what string, ask func(context.Context) error) time.Duration {
	t.Helper()
	took, err := within(t.Context(), limit, ask)
	if err != nil {
		t.Fatalf("%s: not within %v: %v", what, limit, err)
	}
	return took
}

// within repeats ask until it answers nil, and returns how long that took, or the last error.
func within(ctx context.Context, limit time.Duration, ask func(context.Context) error) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return time.Since(began), nil
		}
		if last == nil || ctx.Err() == nil { // an answer that the deadline cut off says less than the one before it
			last = err
		}
		select {
		case <-ctx.Done():
			return time.Since(began), last
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pods of a chart; all of the namespace's for "".
func (s *stack) pods(ctx context.Context, chart string) ([]corev1.Pod, error) {
	o := metav1.ListOptions{}
	if chart != "" {
		o.LabelSelector = "app.kubernetes.io/name=" + chart
	}
	list, err := s.kube.CoreV1().Pods(s.namespace).List(ctx, o)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// runs says that every pod of the charts, all for none, is ready, and that there is one.
func (s *stack) runs(charts ...string) func(context.Context) error {
	if len(charts) == 0 {
		charts = []string{""}
	}
	return func(ctx context.Context) error {
		for _, chart := range charts {
			pods, err := s.pods(ctx, chart)
			if err != nil {
				return err
			}
			if len(pods) == 0 {
				return fmt.Errorf("%s has no pod", chart)
			}
			for _, p := range pods {
				if p.DeletionTimestamp != nil || !isReady(p) && p.Status.Phase != corev1.PodSucceeded {
					return fmt.Errorf("pod %s is not ready: %s", p.Name, stateOf(p))
				}
			}
		}
		return nil
	}
}

func isReady(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// stateOf is a pod's state as `kubectl get pods` would put it, and a little more.
func stateOf(p corev1.Pod) string {
	words := []string{string(p.Status.Phase)}
	if p.DeletionTimestamp != nil {
		words = append(words, "ending")
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		state := "started"
		switch {
		case c.State.Waiting != nil:
			state = strings.TrimSpace(c.State.Waiting.Reason + " " + c.State.Waiting.Message)
		case c.State.Terminated != nil:
			state = fmt.Sprintf("ended with %d %s", c.State.Terminated.ExitCode, c.State.Terminated.Message)
		case c.Ready:
			state = "ready"
		}
		words = append(words, fmt.Sprintf("%s: %s, %d restarts", c.Name, state, c.RestartCount))
	}
	return strings.Join(words, "; ")
}

// restarts of a pod's containers, init containers included.
func restarts(p corev1.Pod) (n int) {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		n += int(c.RestartCount)
	}
	return n
}

// kill ends a chart's pods at once, without a chance to say good-bye, and returns their names.
func (s *stack) kill(ctx context.Context, chart string) ([]string, error) {
	pods, err := s.pods(ctx, chart)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range pods {
		names = append(names, p.Name)
		if err := s.kube.CoreV1().Pods(s.namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &p.UID}}); err != nil {
			return names, err
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no pod to kill", chart)
	}
	return names, nil
}

// scale changes how many pods a chart's Deployment or StatefulSet has, and returns how many it had.
func (s *stack) scale(ctx context.Context, chart string, replicas int32) (had int32, err error) {
	name := s.name(chart)
	if scale, err := s.kube.AppsV1().StatefulSets(s.namespace).GetScale(ctx, name, metav1.GetOptions{}); err == nil {
		had, scale.Spec.Replicas = scale.Spec.Replicas, replicas
		_, err = s.kube.AppsV1().StatefulSets(s.namespace).UpdateScale(ctx, name, scale, metav1.UpdateOptions{})
		return had, err
	} else if !apierrors.IsNotFound(err) {
		return 0, err
	}
	scale, err := s.kube.AppsV1().Deployments(s.namespace).GetScale(ctx, name, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	had, scale.Spec.Replicas = scale.Spec.Replicas, replicas
	_, err = s.kube.AppsV1().Deployments(s.namespace).UpdateScale(ctx, name, scale, metav1.UpdateOptions{})
	return had, err
}

// away scales a chart to nothing and waits until its pods are gone; what it returns brings it back.
func (s *stack) away(t *testing.T, chart string) (back func()) {
	t.Helper()
	had, err := s.scale(t.Context(), chart, 0)
	must(t, err)
	var once sync.Once
	back = func() {
		once.Do(func() {
			if _, err := s.scale(context.WithoutCancel(t.Context()), chart, had); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(back)
	eventually(t, time.Minute, chart+" goes away", func(ctx context.Context) error {
		pods, err := s.pods(ctx, chart)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%s is still there: %s", pods[0].Name, stateOf(pods[0]))
		}
		return err
	})
	return back
}
