package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/apitest"
	"noteworks.dev/operator/internal/controller"
	"noteworks.dev/operator/internal/platformtest"
)

// The roles name both.
const (
	account = "noteworks-operator"
	home    = "noteworks"
)

// TestMain has controller-runtime's own lines go nowhere.
func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	m.Run()
}

// world is an API server where the operator may do what its roles say.
type world struct {
	testing.TB
	*apitest.World
	platform  *platformtest.Platform
	namespace string
	cfg       Config
}

func startWorld(t testing.TB, settings ...string) *world {
	t.Helper()
	w := &world{TB: t, World: apitest.Start(t)}
	w.namespace = w.Namespace(t)
	w.grant()
	w.platform = platformtest.Start(t, w.Client, "noteworks-user")
	cfg, err := Load(append([]string{
		"OPERATOR_NAMESPACE=" + home, "OPERATOR_SERVICE_ACCOUNT=" + account, "PLATFORM_RELEASE=noteworks", "PLATFORM_NAMESPACE=" + w.namespace,
		"PLATFORM_RPC_URL=" + w.platform.URL, "BASE_DOMAIN=notes.example.org", "METRICS_ADDR=127.0.0.1:0", "USAGE_INTERVAL=1s", "LEADER_ELECTION=false",
		"ROUTE_KIND=httproute", `ROUTE_PARENT_REFS=[{"name":"public"}]`,
	}, settings...))
	w.must(err)
	w.cfg = cfg
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// grant gives the operator's account the roles as people install them. Tests of one process share them.
func (w *world) grant() {
	w.Helper()
	roles, err := os.ReadFile("../../config/rbac/role.yaml")
	w.must(err)
	subject := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: home, Name: account}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}}
	w.must(client.IgnoreAlreadyExists(w.Client.Create(w.Context(), namespace)))
	if said, err := w.KubectlReading(w, string(roles), "apply", "--server-side", "-f", "-"); err != nil {
		w.Fatalf("the roles: %v: %s", err, said)
	}
	for _, object := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: account}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: account}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: account}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		},
	} {
		w.must(client.IgnoreAlreadyExists(w.Client.Create(w.Context(), object)))
	}
}

// run starts an operator, and returns what stops it and waits for its end.
func (w *world) run() (s *Server, stop func()) {
	w.Helper()
	cluster := w.As("system:serviceaccount:" + home + ":" + account)
	s, err := New(w.Context(), w.cfg, cluster, newLog(w.Output(), w.cfg.LogLevel))
	w.must(err)
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.Errorf("run: %v", err)
			}
		case <-time.After(time.Minute):
			w.Error("it does not end")
		}
		ended <- nil
	}
	w.Cleanup(stop)
	return s, stop
}

func (w *world) apply(name string) *v1alpha1.NoteWorkspace {
	w.Helper()
	ws := &v1alpha1.NoteWorkspace{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.NoteWorkspaceSpec{Slug: name + "-" + w.namespace, Owner: v1alpha1.Owner{Email: "ann@example.org"}, DeletionPolicy: v1alpha1.DeletionDelete},
	}
	w.must(w.Client.Create(w.Context(), ws))
	return ws
}

// until watches the objects of list's kind until ok is content with what it sees of one.
func until[T client.Object](w *world, list client.ObjectList, what string, ok func(watch.EventType, T) bool) T {
	w.Helper()
	watching, err := client.NewWithWatch(w.Config, client.Options{Scheme: w.Client.Scheme()})
	w.must(err)
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	stream, err := watching.Watch(ctx, list, client.InNamespace(w.namespace))
	w.must(err)
	defer stream.Stop()
	for event := range stream.ResultChan() {
		if object, is := event.Object.(T); is && ok(event.Type, object) {
			return object
		}
	}
	w.Fatalf("never seen: %s", what)
	panic("unreachable")
}

func (w *world) untilCondition(ws *v1alpha1.NoteWorkspace, name, reason string) *v1alpha1.NoteWorkspace {
	w.Helper()
	return until(w, &v1alpha1.NoteWorkspaceList{}, name+" "+reason, func(_ watch.EventType, seen *v1alpha1.NoteWorkspace) bool {
		c := meta.FindStatusCondition(seen.Status.Conditions, name)
		return seen.Name == ws.Name && c != nil && c.Reason == reason && c.ObservedGeneration == seen.Generation
	})
}

func (w *world) accept(route *gatewayv1.HTTPRoute) {
	w.Helper()
	status := gatewayv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.org/gateway"}
	for _, kind := range []string{"Accepted", "ResolvedRefs"} {
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
		})
	}
	before := route.DeepCopy()
	route.Status.Parents = []gatewayv1.RouteParentStatus{status}
	w.must(w.Client.Status().Patch(w.Context(), route, client.MergeFrom(before)))
}

//nolint:paralleltest // an operator sees to the whole cluster
func TestWithItsOwnRightsTheOperatorMakesAWorkspaceKeepsItAndLetsItGo(t *testing.T) {
	w := startWorld(t)
	_, stop := w.run()
	ws := w.apply("acme")

	route := until(w, &gatewayv1.HTTPRouteList{}, "a route", func(watch.EventType, *gatewayv1.HTTPRoute) bool { return true })
	w.accept(route)
	w.untilCondition(ws, v1alpha1.ConditionReady, controller.ReasonReady)

	// Drift is noticed by watching, not by waiting.
	w.must(w.Client.Delete(t.Context(), route))
	again := until(w, &gatewayv1.HTTPRouteList{}, "another route", func(_ watch.EventType, seen *gatewayv1.HTTPRoute) bool { return seen.UID != route.UID })
	w.accept(again)
	w.untilCondition(ws, v1alpha1.ConditionReady, controller.ReasonReady)

	// What people change reaches the user service.
	have := &v1alpha1.NoteWorkspace{}
	w.must(w.Client.Get(t.Context(), client.ObjectKeyFromObject(ws), have))
	have.Spec.Suspended = true
	w.must(w.Client.Update(t.Context(), have))
	w.untilCondition(ws, v1alpha1.ConditionReady, controller.ReasonSuspended)

	// At rest nothing is written, and neither after a restart.
	settled := w.version(ws)
	stop()
	w.platform.Calls()
	_, _ = w.run()
	for looks := 0; looks < 3; {
		for _, call := range w.platform.Calls() {
			if call != "GetWorkspace" {
				t.Fatalf("%s is called at rest", call)
			}
			looks++
		}
		w.pass()
	}
	if now := w.version(ws); now != settled {
		t.Errorf("written at rest: version %s, was %s", now, settled)
	}

	w.must(w.Client.Delete(t.Context(), ws))
	until(w, &corev1.EventList{}, "the event of its end", func(_ watch.EventType, e *corev1.Event) bool {
		return e.InvolvedObject.UID == ws.UID && e.Reason == controller.EventDataDeleted
	})
	w.platform.Rows(func(rows map[string]*platformtest.Row) {
		if len(rows) != 0 {
			t.Errorf("left: %v", rows)
		}
	})
}

// version grows with every write.
func (w *world) version(ws *v1alpha1.NoteWorkspace) string {
	w.Helper()
	have := &v1alpha1.NoteWorkspace{}
	w.must(w.Client.Get(w.Context(), client.ObjectKeyFromObject(ws), have))
	return have.ResourceVersion
}

// pass lets a moment pass: nothing tells of a look that writes nothing.
func (w *world) pass() {
	const moment = 20 * time.Millisecond
	select {
	case <-time.After(moment):
	case <-w.Context().Done():
		w.Fatal(w.Context().Err())
	}
}

//nolint:paralleltest // an operator sees to the whole cluster
func TestMetricsAndHealthAreServed(t *testing.T) {
	addr := freeAddress(t)
	w := startWorld(t, "ROUTE_KIND=none", "METRICS_ADDR="+addr)
	_, _ = w.run()
	ws := w.apply("acme")
	w.untilCondition(ws, v1alpha1.ConditionReady, controller.ReasonReady)
	for _, path := range []string{"/livez", "/readyz"} {
		if code, body := get(t, "http://"+addr+path); code != http.StatusOK {
			t.Errorf("%s answers %d: %s", path, code, body)
		}
	}
	for _, name := range []string{`noteworks_operator_workspaces{isolation="Shared",ready="True",reason="Ready"}`, "controller_runtime_reconcile_total"} {
		untilMetric(t, "http://"+addr+"/metrics", name)
	}
}

// freeAddress is a port on loopback that is free now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// untilMetric asks until it is there: the operator counts what it has heard of, which may be a moment after the test has.
func untilMetric(t *testing.T, url, name string) {
	t.Helper()
	for asked := time.Now(); ; <-time.After(10 * time.Millisecond) {
		_, metrics := get(t, url)
		if strings.Contains(metrics, name) {
			return
		}
		if time.Since(asked) > 30*time.Second {
			t.Fatalf("no %s in the metrics", name)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

//nolint:paralleltest // an operator sees to the whole cluster
func TestOfTwoReplicasOneWorksAndTheOtherFollowsAtOnce(t *testing.T) {
	w := startWorld(t, "ROUTE_KIND=none", "LEADER_ELECTION=true")
	_, stopFirst := w.run()
	first := w.apply("first")
	w.untilCondition(first, v1alpha1.ConditionReady, controller.ReasonReady)
	_, _ = w.run()
	stopFirst()
	second := w.apply("second")
	w.untilCondition(second, v1alpha1.ConditionReady, controller.ReasonReady)
}

func TestEveryReasonStandsInTheGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../internal/controller/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for line := range strings.Lines(string(source)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[1] != "=" {
			continue
		}
		name := strings.Trim(strings.TrimPrefix(words[2], "stack."), `"`)
		if !strings.Contains(string(guide), fmt.Sprintf("`%s`", name)) && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		t.Errorf("docs/operator.md does not say what to do about %v", missing)
	}
}
