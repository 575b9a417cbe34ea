package stack

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/apitest"
)

// A world is a namespace on a real API server, whose writes are counted and can be made to fail.
type world struct {
	*testing.T
	client.Client // the administrator's, not counted
	namespace     string
	counted       client.Client

	mu     sync.Mutex
	writes []string
	fails  int // which of the writes to come; 0 for none
}

var errInjected = errors.New("the network is gone")

func startWorld(t *testing.T) *world {
	t.Helper()
	server := apitest.Start(t)
	w := &world{T: t, Client: server.Client, namespace: server.Namespace(t)}
	watched, err := client.NewWithWatch(server.Config, client.Options{Scheme: apitest.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w.counted = interceptor.NewClient(watched, interceptor.Funcs{
		// Other tests have stacks on this server: to each, its own namespace is the whole fleet.
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return c.List(ctx, list, append(opts, client.InNamespace(w.namespace))...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := w.wrote("create", o); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := w.wrote("update", o); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.wrote("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.wrote("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if err := w.wrote("apply", o); err != nil {
				return err
			}
			return c.Apply(ctx, o, opts...)
		},
	})
	return w
}

// wrote notes a write, and fails it if it is its turn.
func (w *world) wrote(verb string, o any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, _ := json.Marshal(o) // for people to read
	var what struct {
		Kind     string
		Metadata struct{ Name string }
	}
	_ = json.Unmarshal(text, &what)
	w.writes = append(w.writes, verb+" "+what.Kind+" "+what.Metadata.Name)
	if w.fails--; w.fails == 0 {
		return errInjected
	}
	return nil
}

// written returns the writes since it was asked last.
func (w *world) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	writes := w.writes
	w.writes = nil
	return writes
}

func (w *world) engine(change func(*Config)) *Engine {
	w.Helper()
	config := Config{Version: "1.0.0", BaseDomain: "notes.example.org", OperatorNamespace: "noteworks", OperatorServiceAccount: "operator"}
	change(&config)
	e, err := New(w.counted, config)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// version is a platform of that version, whose images have it as their tag.
func version(v string) func(*Config) { return func(c *Config) { c.Version, c.ImageTag = v, v } }

// workspace applies a NoteWorkspace of that name with a small dedicated stack.
func (w *world) workspace(name string, change func(*v1alpha1.NoteWorkspaceSpec)) *v1alpha1.NoteWorkspace {
	w.Helper()
	ws := &v1alpha1.NoteWorkspace{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	ws.Spec = v1alpha1.NoteWorkspaceSpec{
		Owner: v1alpha1.Owner{Email: "ann@example.org"}, Isolation: v1alpha1.IsolationDedicated,
		Dedicated: &v1alpha1.Dedicated{Profile: v1alpha1.ProfileDev},
	}
	change(&ws.Spec)
	if err := w.Create(w.Context(), ws); err != nil {
		w.Fatal(err)
	}
	return ws
}

func plain(*v1alpha1.NoteWorkspaceSpec) {}

func slug(of string) func(*v1alpha1.NoteWorkspaceSpec) {
	return func(s *v1alpha1.NoteWorkspaceSpec) { s.Slug = of }
}

func (w *world) apply(e *Engine, ws *v1alpha1.NoteWorkspace) State {
	w.Helper()
	state, err := e.Apply(w.Context(), ws)
	if err != nil {
		w.Fatal(err)
	}
	return state
}

func (w *world) remove(e *Engine, ws *v1alpha1.NoteWorkspace, keepData bool) State {
	w.Helper()
	state, err := e.Remove(w.Context(), ws, keepData)
	if err != nil {
		w.Fatal(err)
	}
	return state
}

// get reads an object of the namespace.
func get[T client.Object](w *world, name string, into T) T {
	w.Helper()
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, into); err != nil {
		w.Fatal(err)
	}
	return into
}

func (w *world) gone(name string, o client.Object) bool {
	w.Helper()
	err := w.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	return err != nil
}

// change edits an object as people do.
func change[T client.Object](w *world, name string, o T, edit func(T)) {
	w.Helper()
	get(w, name, o)
	edit(o)
	if err := w.Update(w.Context(), o, client.FieldOwner("kubectl-edit")); err != nil {
		w.Fatal(err)
	}
}

// live does what controllers do: it makes all workloads of a stack say that their pods are ready.
func (w *world) live(ws *v1alpha1.NoteWorkspace) {
	w.Helper()
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	for _, list := range []client.ObjectList{&deployments, &sets} {
		if err := w.List(w.Context(), list, client.InNamespace(w.namespace), client.MatchingLabels{Label: Name(ws)}); err != nil {
			w.Fatal(err)
		}
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		n := *d.Spec.Replicas
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			}}
		if err := w.Status().Update(w.Context(), d); err != nil {
			w.Fatal(err)
		}
	}
	for i := range sets.Items {
		s := &sets.Items[i]
		n := *s.Spec.Replicas
		s.Status = appsv1.StatefulSetStatus{ObservedGeneration: s.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, CurrentReplicas: n,
			AvailableReplicas: n, CurrentRevision: "r", UpdateRevision: "r"}
		if err := w.Status().Update(w.Context(), s); err != nil {
			w.Fatal(err)
		}
	}
}

// passwords returns what the Secrets of a stack hold.
func (w *world) passwords(release string) map[string]string {
	w.Helper()
	var list corev1.SecretList
	if err := w.List(w.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{Label: release}); err != nil {
		w.Fatal(err)
	}
	found := map[string]string{}
	for i := range list.Items {
		found[list.Items[i].Name] = dataDigest(&list.Items[i])
	}
	return found
}

func TestAStackComesAndNothingIsWrittenAfterwards(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ws, e := w.workspace("acme", plain), w.engine(version("1.0.0"))

	if state := w.apply(e, ws); state.Ready || state.Reason != Progressing || !state.Changed || state.Version != "" {
		t.Fatalf("at first: %+v", state)
	}
	w.live(ws)
	if state := w.apply(e, ws); !state.Ready || state.Version != "1.0.0" || !state.Changed {
		t.Fatalf("with all pods: %+v", state)
	}
	before := w.passwords("acme-nw")
	if len(before) < 5 {
		t.Fatalf("the stack has the Secrets %v", before)
	}
	w.written()

	for name, engine := range map[string]*Engine{"again": e, "by another replica of the operator": w.engine(version("1.0.0"))} {
		for range 3 {
			if state := w.apply(engine, ws); !state.Ready || state.Changed {
				t.Errorf("%s: %+v", name, state)
			}
		}
		if writes := w.written(); len(writes) > 0 {
			t.Errorf("%s: %q", name, writes)
		}
	}
	if after := w.passwords("acme-nw"); !maps.Equal(before, after) {
		t.Errorf("the passwords changed: %v, then %v", before, after)
	}
}

func TestWhatIsChangedByHandComesBack(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ws, e := w.workspace("acme", plain), w.engine(version("1.0.0"))
	w.apply(e, ws)
	w.live(ws)
	w.apply(e, ws)
	passwords := w.passwords("acme-nw")

	for name, c := range map[string]struct{ harm, mended func() bool }{
		"an image": {
			func() bool {
				change(w, "acme-nw-note", &appsv1.Deployment{}, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "evil" })
				return true
			},
			func() bool {
				return get(w, "acme-nw-note", &appsv1.Deployment{}).Spec.Template.Spec.Containers[0].Image != "evil"
			},
		},
		"replicas": {
			func() bool {
				change(w, "acme-nw-user", &appsv1.Deployment{}, func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) })
				return true
			},
			func() bool { return *get(w, "acme-nw-user", &appsv1.Deployment{}).Spec.Replicas == 1 },
		},
		"a rule that lets everybody in": {
			func() bool {
				change(w, "acme-nw-postgres", &networkingv1.NetworkPolicy{}, func(p *networkingv1.NetworkPolicy) {
					p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
				})
				return true
			},
			func() bool {
				return !slices.ContainsFunc(get(w, "acme-nw-postgres", &networkingv1.NetworkPolicy{}).Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool { return len(r.From) == 0 })
			},
		},
		"a setting that is taken out": {
			func() bool {
				change(w, "acme-nw-gateway", &appsv1.Deployment{}, func(d *appsv1.Deployment) { d.Spec.Template.Spec.AutomountServiceAccountToken = nil })
				return true
			},
			func() bool {
				return get(w, "acme-nw-gateway", &appsv1.Deployment{}).Spec.Template.Spec.AutomountServiceAccountToken != nil
			},
		},
		"a Service that is deleted": {
			func() bool {
				return w.Delete(t.Context(), get(w, "acme-nw-gateway", &corev1.Service{})) == nil
			},
			func() bool { return !w.gone("acme-nw-gateway", &corev1.Service{}) },
		},
		"a password that is changed": {
			func() bool {
				change(w, "acme-nw-postgres-user", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["url"] = []byte("postgres://nowhere") })
				return true
			},
			func() bool { return maps.Equal(passwords, w.passwords("acme-nw")) },
		},
		"a label that is taken off": {
			func() bool {
				change(w, "acme-nw-nats", &corev1.ConfigMap{}, func(c *corev1.ConfigMap) { delete(c.Labels, partOfLabel) })
				return true
			},
			func() bool { return get(w, "acme-nw-nats", &corev1.ConfigMap{}).Labels[partOfLabel] == setID(ws) },
		},
	} {
		if !c.harm() {
			t.Fatalf("%s: not done", name)
		}
		w.written()
		w.apply(e, ws)
		if writes := w.written(); !c.mended() || len(writes) != 1 {
			t.Errorf("%s: mended: %t, by %q", name, c.mended(), writes)
		}
		w.live(ws)
		if state := w.apply(e, ws); !state.Ready || state.Changed {
			t.Errorf("%s: afterwards %+v, by %q", name, state, w.written())
		}
	}
}

func TestASuspendedStackKeepsItsDataAndComesBack(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ws, e := w.workspace("acme", plain), w.engine(version("1.0.0"))
	w.apply(e, ws)
	w.live(ws)
	w.apply(e, ws)
	passwords := w.passwords("acme-nw")

	ws.Spec.Suspended = true
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "last", Labels: map[string]string{Label: "acme-nw"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "note", Image: "note"}}}}
	if err := w.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if state := w.apply(e, ws); state.Reason != Suspending || !strings.Contains(state.Message, "last") {
		t.Errorf("while a pod is there: %+v", state)
	}
	if err := w.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	if state := w.apply(e, ws); state.Ready || state.Reason != Suspended {
		t.Errorf("without pods: %+v", state)
	}
	if !w.gone("acme-nw-note", &policyv1.PodDisruptionBudget{}) || *get(w, "acme-nw-postgres", &appsv1.StatefulSet{}).Spec.Replicas != 0 {
		t.Error("something is left that runs or guards pods")
	}
	w.written()
	if w.apply(e, ws); len(w.written()) > 0 {
		t.Error("a suspended stack is written to")
	}

	ws.Spec.Suspended = false
	w.apply(e, ws)
	w.live(ws)
	if state := w.apply(e, ws); !state.Ready || w.gone("acme-nw-note", &policyv1.PodDisruptionBudget{}) {
		t.Errorf("after it was resumed: %+v", state)
	}
	if !maps.Equal(passwords, w.passwords("acme-nw")) {
		t.Error("the passwords changed")
	}
}

func TestWhatIsNoLongerRenderedGoes(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ws := w.workspace("acme", plain)
	w.apply(w.engine(version("1.0.0")), ws)
	w.live(ws)
	w.apply(w.engine(version("1.0.0")), ws)

	next := w.engine(func(c *Config) {
		c.Version, c.Values = "2.0.0", map[string]any{"note": map[string]any{"networkPolicy": map[string]any{"enabled": false}}}
	})
	w.apply(next, ws)
	if !w.gone("acme-nw-note", &networkingv1.NetworkPolicy{}) || w.gone("acme-nw-user", &networkingv1.NetworkPolicy{}) {
		t.Error("too little or too much is pruned")
	}
	if remembered := get(w, "acme-nw-stack", &corev1.ConfigMap{}).Data[objectsKey]; strings.Contains(remembered, "NetworkPolicy acme-nw-note") ||
		!strings.Contains(remembered, "NetworkPolicy acme-nw-user") {
		t.Errorf("what is remembered: %s", remembered)
	}
}

func TestASlugHasOneStackInANamespace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	e := w.engine(version("1.0.0"))
	first, second := w.workspace("first", slug("acme")), w.workspace("second", slug("acme"))
	w.apply(e, first)
	w.written()
	if state := w.apply(e, second); state.Reason != SlugTaken || !strings.Contains(state.Message, "NoteWorkspace first") {
		t.Errorf("the second: %+v", state)
	}
	if state := w.remove(e, second, false); !state.Gone {
		t.Errorf("removal of the second: %+v", state)
	}
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("the second touches the first's stack: %q", writes)
	}
	if err := w.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if state := w.apply(e, second); state.Reason != Progressing {
		t.Errorf("when the first is no more: %+v", state)
	}
}

func TestARetainedStackIsTakenUpByTheNextOfItsSlug(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	e := w.engine(version("1.0.0"))
	first := w.workspace("first", slug("acme"))
	w.apply(e, first)
	database := "acme-nw-postgres"
	before := w.passwords("acme-nw")
	volume := w.claim("data-acme-nw-postgres-0", "acme-nw", "none")

	state := w.remove(e, first, true)
	if !state.Gone || !strings.Contains(state.Message, "apply a NoteWorkspace with the slug acme in namespace "+w.namespace) || !strings.Contains(state.Message, volume.Name) {
		t.Fatalf("removed: %+v", state)
	}
	if !w.gone("acme-nw-note", &appsv1.Deployment{}) || w.gone(database, &corev1.Secret{}) || w.gone(volume.Name, &corev1.PersistentVolumeClaim{}) {
		t.Error("too little or too much is removed")
	}
	if state := w.remove(e, first, true); !state.Gone {
		t.Errorf("removed again: %+v", state)
	}

	second := w.workspace("second", slug("acme"))
	w.apply(e, second)
	if after := w.passwords("acme-nw"); after[database] != before[database] || after[database+"-user"] != before[database+"-user"] {
		t.Error("the database's passwords are not those of its volume")
	}
	if state = w.remove(e, second, false); state.Gone || state.Reason != Removing || !strings.Contains(state.Message, volume.Name+", held by the finalizer kubernetes.io/pvc-protection") {
		t.Errorf("while a volume is held: %+v", state)
	}
	change(w, volume.Name, &corev1.PersistentVolumeClaim{}, func(c *corev1.PersistentVolumeClaim) { c.Finalizers = nil })
	if state = w.remove(e, second, false); !state.Gone {
		t.Errorf("removed for good: %+v", state)
	}
	if left := w.passwords("acme-nw"); len(left) > 0 || !w.gone("acme-nw-stack", &corev1.ConfigMap{}) {
		t.Errorf("left: %v", left)
	}
}

// claim makes a volume claim of a stack, bound as a provisioner would, and held as one that a pod uses.
func (w *world) claim(name, release, class string) *corev1.PersistentVolumeClaim {
	w.Helper()
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Finalizers: []string{"kubernetes.io/pvc-protection"}, Labels: map[string]string{
			Label: release, "app.kubernetes.io/instance": release, "app.kubernetes.io/name": "postgres",
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeName: "v",
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	if err := w.Create(w.Context(), c); err != nil {
		w.Fatal(err)
	}
	c.Status.Phase = corev1.ClaimBound
	c.Status.Capacity = c.Spec.Resources.Requests
	if err := w.Status().Update(w.Context(), c); err != nil {
		w.Fatal(err)
	}
	return c
}

func TestVolumesGrowWhereTheirClassLetsThem(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	e := w.engine(version("1.0.0"))
	ws := w.workspace("acme", plain)
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}, Provisioner: "example.org/disk", AllowVolumeExpansion: new(true)}
	if err := w.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	w.apply(e, ws)
	volume := w.claim("data-acme-nw-postgres-0", "acme-nw", class.Name)
	first := get(w, "acme-nw-postgres", &appsv1.StatefulSet{}).UID

	ws.Spec.Dedicated.Storage.Postgres = new(resource.MustParse("3Gi"))
	if state := w.apply(e, ws); state.Reason != Progressing {
		t.Errorf("grown: %+v", state)
	}
	if size := get(w, volume.Name, &corev1.PersistentVolumeClaim{}).Spec.Resources.Requests.Storage(); size.String() != "3Gi" {
		t.Errorf("the volume's claim is of %s", size)
	}
	// The garbage collector's part: the pods are let go of.
	change(w, "acme-nw-postgres", &appsv1.StatefulSet{}, func(s *appsv1.StatefulSet) { s.Finalizers = nil })
	w.apply(e, ws)
	if again := get(w, "acme-nw-postgres", &appsv1.StatefulSet{}); again.UID == first || again.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String() != "3Gi" {
		t.Errorf("the StatefulSet is not made anew: %v", again.Spec.VolumeClaimTemplates)
	}

	ws.Spec.Dedicated.Storage.Postgres = new(resource.MustParse("2Gi"))
	if state := w.apply(e, ws); state.Reason != Invalid || !strings.Contains(state.Message, "can only grow") {
		t.Errorf("made smaller: %+v", state)
	}
	if w.gone(volume.Name, &corev1.PersistentVolumeClaim{}) {
		t.Error("the volume is gone")
	}
}

func TestUpgradesStopAtTheFirstThatFails(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	old := w.engine(version("1.0.0"))
	now := time.Now()
	next := func() *Engine {
		return w.engine(func(c *Config) {
			version("2.0.0")(c)
			c.UpgradeTimeout, c.Now = time.Minute, func() time.Time { return now }
		})
	}
	var fleet []*v1alpha1.NoteWorkspace
	for _, name := range []string{"a", "b", "c"} {
		ws := w.workspace(name, plain)
		w.apply(old, ws)
		w.live(ws)
		w.apply(old, ws)
		fleet = append(fleet, ws)
	}
	e := next()
	a, b, c := fleet[0], fleet[1], fleet[2]
	if state := w.apply(e, b); state.Reason != UpgradeQueued || !state.Ready || state.Version != "1.0.0" {
		t.Errorf("b, before its turn: %+v", state)
	}
	if state := w.apply(e, a); state.Reason != Upgrading || state.Version != "1.0.0" {
		t.Errorf("a, on its way: %+v", state)
	}
	w.live(a)
	if state := w.apply(e, a); !state.Ready || state.Version != "2.0.0" {
		t.Errorf("a, arrived: %+v", state)
	}
	if state := w.apply(e, b); state.Reason != Upgrading {
		t.Errorf("b, on its way: %+v", state)
	}
	now = now.Add(2 * time.Minute)
	e = next() // the operator has been restarted meanwhile
	w.written()
	if state := w.apply(e, c); state.Reason != UpgradeHeld || !state.Ready || state.Version != "1.0.0" || !strings.Contains(state.Message, w.namespace+"/b") {
		t.Errorf("c, while b fails: %+v", state)
	}
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("a held stack is written to: %q", writes)
	}
	if state := w.apply(e, b); !strings.Contains(state.Message, "held until this one is whole") {
		t.Errorf("b, failing: %+v", state)
	}
	w.live(b)
	w.apply(e, b)
	w.apply(e, c)
	w.live(c)
	if state := w.apply(e, c); !state.Ready || state.Version != "2.0.0" {
		t.Errorf("c, when b lives: %+v", state)
	}
}

func TestWhatPeopleCanMendIsToldBeforeAnythingIsApplied(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	e := w.engine(version("1.0.0"))
	for name, c := range map[string]struct {
		change func(*v1alpha1.NoteWorkspaceSpec)
		reason string
		says   string
	}{
		"urls": {func(s *v1alpha1.NoteWorkspaceSpec) {
			s.Dedicated.Postgres = &v1alpha1.ExternalPostgres{SecretRef: v1alpha1.SecretReference{Name: "urls"}}
		}, SecretMissing, "there is no Secret urls in namespace " + w.namespace},
		"three": {func(s *v1alpha1.NoteWorkspaceSpec) { s.Dedicated.Profile = v1alpha1.ProfileHA }, Invalid, "needs the CloudNativePG operator"},
	} {
		state := w.apply(e, w.workspace(name, c.change))
		if state.Reason != c.reason || state.Ready || !strings.Contains(state.Message, c.says) {
			t.Errorf("%s: %+v", name, state)
		}
	}
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("something was applied: %q", writes)
	}
	greedy := w.workspace("greedy", func(s *v1alpha1.NoteWorkspaceSpec) {
		s.Dedicated.Resources.Note = &v1alpha1.Resources{Requests: corev1.ResourceList{"memory": resource.MustParse("9Gi")}}
	})
	if state := w.apply(e, greedy); state.Reason != Invalid || !strings.Contains(state.Message, "memory limit") {
		t.Errorf("more memory than the limit: %+v", state)
	}
}

// Wherever it stops, the next attempt comes to the same stack, with the passwords that were made first.
func TestAWriteThatFailsIsMadeUpForByTheNextAttempt(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ws := w.workspace("acme", plain)
	seen := map[string]string{}
	for attempt := 1; ; attempt++ {
		e := w.engine(version("1.0.0")) // each time another process
		w.fails = 2
		_, err := e.Apply(t.Context(), ws)
		for name, password := range w.passwords("acme-nw") {
			if before, known := seen[name]; known && before != password {
				t.Fatalf("attempt %d: Secret %s has another password", attempt, name)
			}
			seen[name] = password
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errInjected) || attempt > 100 {
			t.Fatalf("attempt %d: %v", attempt, err)
		}
	}
	w.fails = 0
	w.live(ws)
	if state := w.apply(w.engine(version("1.0.0")), ws); !state.Ready {
		t.Errorf("in the end: %+v", state)
	}
	for attempt := 1; ; attempt++ {
		w.fails = 2
		state, err := w.engine(version("1.0.0")).Remove(t.Context(), ws, false)
		if err == nil && state.Gone {
			break
		}
		if err != nil && !errors.Is(err, errInjected) || attempt > 100 {
			t.Fatalf("removal %d: %v", attempt, err)
		}
	}
	var left corev1.ServiceAccountList
	if err := w.List(t.Context(), &left, client.InNamespace(w.namespace), client.MatchingLabels{Label: "acme-nw"}); err != nil || len(left.Items) > 0 {
		t.Errorf("left: %v, %v", left.Items, err)
	}
}

func TestSomethingThatIsNotTheStacksIsNotDeleted(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ws, e := w.workspace("acme", plain), w.engine(version("1.0.0"))
	w.apply(e, ws)
	change(w, "acme-nw-nats", &corev1.ConfigMap{}, func(c *corev1.ConfigMap) { c.Labels, c.OwnerReferences = nil, nil })
	if state := w.remove(e, ws, false); !state.Gone {
		t.Errorf("removed: %+v", state)
	}
	if w.gone("acme-nw-nats", &corev1.ConfigMap{}) {
		t.Error("somebody else's ConfigMap is gone")
	}
}
