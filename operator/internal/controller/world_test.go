package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/apitest"
	"noteworks.dev/operator/internal/controller"
	"noteworks.dev/operator/internal/platformtest"
	"noteworks.dev/operator/internal/registry"
	"noteworks.dev/operator/internal/stack"
)

const owner = "ann@example.org"

// world is a platform with a namespace of its own, and one with a team in it, on a real API server. A test reconciles by hand, so that it knows of
// every call.
type world struct {
	testing.TB
	*apitest.World
	platform   *platformtest.Platform
	namespace  string // the team's
	releasedIn string // the platform's
	stacks     *stacks
	events     *events.FakeRecorder
	spans      *spans
	faults     faults
	ahead      atomic.Int64 // how far the clock is ahead
	reconciler *controller.Reconciler
}

// TestMain has controller-runtime's own lines go nowhere.
func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	m.Run()
}

func startWorld(t testing.TB, route string) *world {
	t.Helper()
	w := &world{TB: t, World: apitest.Start(t), stacks: &stacks{}, events: events.NewFakeRecorder(1000), spans: &spans{}}
	w.namespace, w.releasedIn = w.Namespace(t), w.Namespace(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.releasedIn, Name: "operator"}}
	w.must(w.Client.Create(t.Context(), account))
	w.platform = platformtest.Start(t, w.Client, "noteworks-user")
	w.reconciler = w.start(route)
	return w
}

// start is an operator that has just been started.
func (w *world) start(route string) *controller.Reconciler {
	w.Helper()
	direct, err := client.NewWithWatch(w.Config, client.Options{Scheme: w.Client.Scheme()})
	w.must(err)
	api := interceptor.NewClient(direct, w.faults.funcs())
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans))
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	tokens := registry.NewTokens(api, types.NamespacedName{Namespace: w.releasedIn, Name: "operator"}, now)
	return &controller.Reconciler{
		Client: api, Registry: registry.NewClient(&w.faults, tokens, tracers), Stacks: w.stacks, Events: w.events,
		Tracer: tracers.Tracer("test"), Log: slog.New(slog.NewTextHandler(w.Output(), nil)), Now: now,
		Config: controller.Config{
			Platform:          registry.Stack{URL: w.platform.URL, Audience: "noteworks-user"},
			PlatformNamespace: w.releasedIn, PlatformGateway: "noteworks-gateway", Operator: w.releasedIn + "/operator",
			BaseDomain: "notes.example.org", Scheme: "https", UsageInterval: time.Minute, DeletionTimeout: 10 * time.Minute,
			Route: controller.RouteConfig{Kind: route, ParentRefs: []gatewayv1.ParentReference{{Name: "public"}}},
		},
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// slug is one that no other test has: what comes near a dedicated stack is compared with all workspaces of the cluster.
func (w *world) slug() string { return "s-" + strings.TrimPrefix(w.namespace, "test-") }

// apply makes a workspace called name, as change says.
func (w *world) apply(name string, change ...func(*v1alpha1.NoteWorkspace)) *v1alpha1.NoteWorkspace {
	w.Helper()
	ws := &v1alpha1.NoteWorkspace{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.NoteWorkspaceSpec{Slug: w.slug(), Owner: v1alpha1.Owner{Email: owner, Name: "Ann"}},
	}
	for _, c := range change {
		c(ws)
	}
	w.must(w.Client.Create(w.Context(), ws))
	return ws
}

// change changes what is there.
func (w *world) change(ws *v1alpha1.NoteWorkspace, change func(*v1alpha1.NoteWorkspace)) {
	w.Helper()
	have := w.get(ws)
	before := have.DeepCopy()
	change(have)
	w.must(w.Client.Patch(w.Context(), have, client.MergeFrom(before)))
}

func (w *world) get(ws *v1alpha1.NoteWorkspace) *v1alpha1.NoteWorkspace {
	w.Helper()
	have := &v1alpha1.NoteWorkspace{}
	w.must(w.Client.Get(w.Context(), client.ObjectKeyFromObject(ws), have))
	return have
}

func (w *world) gone(ws *v1alpha1.NoteWorkspace) bool {
	w.Helper()
	err := w.Client.Get(w.Context(), client.ObjectKeyFromObject(ws), &v1alpha1.NoteWorkspace{})
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	return err != nil
}

// reconcile looks at ws once.
func (w *world) reconcile(ws *v1alpha1.NoteWorkspace) ctrl.Result {
	w.Helper()
	result, err := w.try(w.reconciler, ws)
	w.must(err)
	return result
}

// try looks at ws once.
func (w *world) try(r *controller.Reconciler, ws *v1alpha1.NoteWorkspace) (ctrl.Result, error) {
	return r.Reconcile(w.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(ws)})
}

// condition requires one of ws to be as said, of the present generation, and returns it.
func (w *world) condition(ws *v1alpha1.NoteWorkspace, name string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.Helper()
	have := w.get(ws)
	c := meta.FindStatusCondition(have.Status.Conditions, name)
	switch {
	case c == nil:
		w.Fatalf("there is no condition %s", name)
	case c.Status != status || c.Reason != reason || c.ObservedGeneration != have.Generation:
		w.Fatalf("%s is %s, %s, of generation %d: %s; want %s, %s, of %d", name, c.Status, c.Reason, c.ObservedGeneration, c.Message, status, reason, have.Generation)
	}
	return *c
}

func (w *world) ready(ws *v1alpha1.NoteWorkspace) {
	w.Helper()
	w.condition(ws, v1alpha1.ConditionReady, metav1.ConditionTrue, controller.ReasonReady)
}

func (w *world) notReady(ws *v1alpha1.NoteWorkspace, reason string) metav1.Condition {
	w.Helper()
	return w.condition(ws, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
}

// routes are those in the platform's namespace.
func (w *world) routes() []gatewayv1.HTTPRoute {
	w.Helper()
	var all gatewayv1.HTTPRouteList
	w.must(w.Client.List(w.Context(), &all, client.InNamespace(w.releasedIn)))
	return all.Items
}

// acceptRoutes does what a Gateway's controller does.
func (w *world) acceptRoutes(accepted metav1.ConditionStatus, reason, message string) {
	w.Helper()
	for _, route := range w.routes() {
		status := gatewayv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.org/gateway"}
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			status.Conditions = append(status.Conditions, metav1.Condition{
				Type: kind, Status: accepted, Reason: reason, Message: message, ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
			})
		}
		before := route.DeepCopy()
		route.Status.Parents = []gatewayv1.RouteParentStatus{status}
		w.must(w.Client.Status().Patch(w.Context(), &route, client.MergeFrom(before)))
	}
}

func (w *world) secret(name string) *corev1.Secret {
	w.Helper()
	var s corev1.Secret
	err := w.Client.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, &s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return &s
}

// heard reports whether an event of this reason was recorded since the last asking.
func (w *world) heard(reason string) bool {
	for {
		select {
		case e := <-w.events.Events:
			if strings.Contains(e, " "+reason+" ") {
				return true
			}
		default:
			return false
		}
	}
}

// stacks is a stand-in: the real engine's objects never become ready where nothing runs pods, and it has tests of its own.
type stacks struct {
	mu      sync.Mutex
	state   stack.State
	removal stack.State
	applied int
	kept    []bool
}

func (s *stacks) set(state stack.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *stacks) Apply(context.Context, *v1alpha1.NoteWorkspace) (stack.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied++
	return s.state, nil
}

func (s *stacks) Remove(_ context.Context, _ *v1alpha1.NoteWorkspace, keepData bool) (stack.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, keepData)
	return s.removal, nil
}

// spans keeps the ended ones.
type spans struct {
	mu    sync.Mutex
	ended []sdktrace.ReadOnlySpan
}

func (*spans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (*spans) Shutdown(context.Context) error                  { return nil }
func (*spans) ForceFlush(context.Context) error                { return nil }
func (s *spans) OnEnd(span sdktrace.ReadOnlySpan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, span)
}

func (s *spans) names() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for _, span := range s.ended {
		all[span.Name()] = span.SpanContext().TraceID().String()
	}
	return all
}

// faults stands before every call to the API server and to user services.
type faults struct {
	// before decides what becomes of a call: nil lets it pass.
	before atomic.Pointer[func(call string, do func() error) error]

	mu     sync.Mutex
	writes []string
}

func (f *faults) set(before func(call string, do func() error) error) {
	if before == nil {
		f.before.Store(nil)
		return
	}
	f.before.Store(&before)
}

func (f *faults) around(call string, do func() error) error {
	counted := func() error {
		if !strings.HasPrefix(call, "get ") && !strings.HasPrefix(call, "list ") {
			f.mu.Lock()
			f.writes = append(f.writes, call)
			f.mu.Unlock()
		}
		return do()
	}
	if before := f.before.Load(); before != nil {
		return (*before)(call, counted)
	}
	return counted()
}

// written is what was written to the API server, and called of user services, since the last asking.
func (f *faults) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.writes
	f.writes = nil
	return all
}

func (f *faults) RoundTrip(r *http.Request) (res *http.Response, err error) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	call := "rpc " + name
	if name == "GetWorkspace" {
		call = "get rpc " + name
	}
	err = f.around(call, func() error {
		res, err = http.DefaultTransport.RoundTrip(r)
		return err
	})
	if err != nil && res != nil {
		_ = res.Body.Close()
		res = nil
	}
	return res, err
}

func (f *faults) funcs() interceptor.Funcs {
	of := func(verb string, obj any) string { return fmt.Sprintf("%s %T", verb, obj) }
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			return f.around(of("get", obj), func() error { return c.Get(ctx, key, obj, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return f.around(of("list", list), func() error { return c.List(ctx, list, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return f.around(of("create", obj), func() error { return c.Create(ctx, obj, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return f.around(of("delete", obj), func() error { return c.Delete(ctx, obj, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return f.around(of("patch", obj), func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return f.around("apply", func() error { return c.Apply(ctx, obj, opts...) })
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, name string, obj, sub client.Object, opts ...client.SubResourceCreateOption) error {
			return f.around("create "+name, func() error { return c.SubResource(name).Create(ctx, obj, sub, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return f.around("patch "+name, func() error { return c.SubResource(name).Patch(ctx, obj, patch, opts...) })
		},
	}
}
