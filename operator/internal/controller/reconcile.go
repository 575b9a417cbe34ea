package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/registry"
	"noteworks.dev/operator/internal/stack"
)

// Finalizer holds a deletion up until what lives outside of the object is let go.
const Finalizer = "noteworks.dev/data"

// lookAfter is how often a dedicated stack is looked at when nothing is heard of it: no more of a drift than this goes unrepaired.
const lookAfter = 30 * time.Second

// Stacks makes the stacks of dedicated workspaces; a stack.Engine does.
type Stacks interface {
	Apply(ctx context.Context, ws *v1alpha1.NoteWorkspace) (stack.State, error)
	Remove(ctx context.Context, ws *v1alpha1.NoteWorkspace, keepData bool) (stack.State, error)
}

// Config is what the platform says about all workspaces.
type Config struct {
	// Platform is the shared stack's user service, and PlatformNamespace and PlatformGateway what requests go to.
	Platform          registry.Stack
	PlatformNamespace string
	PlatformGateway   string
	// Operator is the service account as namespace/name, to tell whose rights are missing.
	Operator string

	// BaseDomain is what slugs stand below; Scheme and Port how people reach it, Port 0 being the scheme's own.
	BaseDomain string
	Scheme     string
	Port       int
	Route      RouteConfig

	// UsageInterval is how often a workspace at rest is looked at.
	UsageInterval time.Duration
	// DeletionTimeout is how long a deletion may be held up where that would hold up more than the data's end.
	DeletionTimeout time.Duration
}

// Reconciler makes NoteWorkspaces be what they say. All fields are required.
type Reconciler struct {
	// Client may answer from a cache that shows what it has written, as ClientOf's does.
	Client   client.Client
	Registry *registry.Client
	Stacks   Stacks
	Events   events.EventRecorder
	Tracer   trace.Tracer
	Log      *slog.Logger
	Config   Config
	Now      func() time.Time
}

// Reconcile does what is left to do for one NoteWorkspace, and says when to look again. An operator that is told to stop leaves the rest to the next
// one, which is no failure.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	result, err := r.reconcile(ctx, req)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctrl.Result{}, nil
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	w, err := r.observe(ctx, req.NamespacedName)
	if err != nil || w == nil {
		return ctrl.Result{}, err
	}
	defer func() { w.tell(err) }()
	if w.deleted() {
		return r.remove(ctx, w)
	}
	for _, step := range []func(context.Context, *work) error{r.hold, r.claim, r.stack, r.register, r.route, r.status} {
		if err := step(ctx, w); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{RequeueAfter: r.again(w)}, nil
}

// again is when to look at w next: at rest seldom, and the longer something is wrong, the less often.
func (r *Reconciler) again(w *work) time.Duration {
	longest := r.Config.UsageInterval
	if w.dedicated() {
		longest = min(longest, lookAfter)
	}
	if w.ready().is() || w.ws.Spec.Suspended && w.registered.is() {
		return jitter(longest)
	}
	return jitter(growing(w.since(v1alpha1.ConditionReady, r.Now()), longest))
}

// growing is the pause before another attempt at what has failed for this long.
func growing(failing, longest time.Duration) time.Duration {
	return max(time.Second, min(failing/4, longest))
}

// jitter is d, give or take a tenth: what began together does not stay together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // chance, not secrecy
}

// tell ends the trace of w, if it has one.
func (w *work) tell(err error) {
	if w.span == nil {
		return
	}
	if err != nil {
		w.span.RecordError(err)
	}
	w.span.End()
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
