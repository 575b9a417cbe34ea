package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/stack"
)

// passTimeout is more than all calls of one look take, each within its own time.
const passTimeout = 2 * time.Minute

// Cache is what a manager's cache holds: all workspaces, of routes of the kind route what is ours, and of the kinds of a stack what is a stack's.
func Cache(route string, resync time.Duration) cache.Options {
	ofStack, err := labels.Parse(stack.Label) // whatever its value
	if err != nil {
		panic(err) // a constant
	}
	light := cache.TransformStripManagedFields()
	of := map[client.Object]cache.ByObject{
		&v1alpha1.NoteWorkspace{}: {Transform: light},
		// Not watched, only looked into.
		&corev1.Pod{}: {Label: ofStack, Transform: light}, &corev1.PersistentVolumeClaim{}: {Label: ofStack, Transform: light},
	}
	if route != RouteNone {
		of[emptyRoute(route)] = cache.ByObject{Label: labels.SelectorFromSet(labels.Set{labelManagedBy: managedBy}), Transform: light}
	}
	for _, kind := range stack.Kinds() {
		of[kind] = cache.ByObject{Label: ofStack} // with managedFields, which tell what was applied
	}
	return cache.Options{SyncPeriod: &resync, ByObject: of}
}

// Uncached are the kinds that are read by name and never listed.
func Uncached() []client.Object { return []client.Object{&corev1.Secret{}, &corev1.Namespace{}} }

// ClientOf answers from mgr's cache, and waits for what it has written to be there: a look never judges by what was before its own last one.
func ClientOf(mgr ctrl.Manager) (client.Client, error) {
	ownWrites := true
	return client.New(mgr.GetConfig(), client.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		Cache: &client.CacheOptions{Reader: mgr.GetCache(), DisableFor: Uncached(), EnableReadYourWritesConsistency: &ownWrites},
	})
}

// Setup has mgr run r for workspaces as they change, and for what belongs to them, with so many workers.
func (r *Reconciler) Setup(mgr ctrl.Manager, workers int) error {
	const firstRetry, lastRetry = 50 * time.Millisecond, 30 * time.Second
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	severalInOneProcess := true
	b := ctrl.NewControllerManagedBy(mgr).Named("noteworkspace").
		For(&v1alpha1.NoteWorkspace{}, builder.WithPredicates(changed)).
		WithOptions(controller.Options{
			SkipNameValidation:      &severalInOneProcess,
			MaxConcurrentReconciles: workers,
			ReconciliationTimeout:   passTimeout,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		})
	for _, kind := range stack.Kinds() {
		b = b.Owns(kind)
	}
	if r.Config.Route.Kind != RouteNone {
		b = b.Watches(emptyRoute(r.Config.Route.Kind), handler.EnqueueRequestsFromMapFunc(workspaceOfRoute))
	}
	return wrap("set up the controller", b.Complete(r))
}

// workspaceOfRoute is what the labels of a route say; a route in the platform's namespace has no owner.
func workspaceOfRoute(_ context.Context, route client.Object) []reconcile.Request {
	key := types.NamespacedName{Namespace: route.GetLabels()[labelNamespace], Name: route.GetLabels()[labelName]}
	if key.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}
