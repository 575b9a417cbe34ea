package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

// Apply brings the stack of ws to what its spec and the platform say, and judges it. What people can mend is told in the State; an error
// is what another attempt may mend. It never waits: call it again when an object of the stack changes, and from time to time.
//
// While a stack stays at its version, queued or held, its objects are judged but not repaired, and changes of its spec wait, too: this
// program has the charts of its own version only. Suspending does not wait.
func (e *Engine) Apply(ctx context.Context, ws *v1alpha1.NoteWorkspace) (State, error) {
	p, err := e.parent(ctx, ws)
	if err != nil {
		return State{}, err
	}
	other, err := e.takenBy(ctx, p, ws)
	if err != nil || other != "" {
		return State{Reason: SlugTaken, Message: fmt.Sprintf("NoteWorkspace %s of this namespace has a stack for the slug %s: delete one of the two, or choose another slug",
			other, ws.SlugOrName())}, err
	}
	state, err := e.applyOwned(ctx, ws, &p)
	state.Version = versionOf(p.whole)
	if invalid, is := errors.AsType[invalidError](err); is {
		state.Reason, state.Message = Invalid, invalid.sentence
		return state, nil
	}
	return state, err
}

// applyOwned is Apply for the workspace whose stack it is.
func (e *Engine) applyOwned(ctx context.Context, ws *v1alpha1.NoteWorkspace, p *parent) (State, error) {
	secrets := e.secrets(ws)
	named, state, err := external(ctx, ws, secrets)
	if err != nil || state.Reason != "" {
		return state, err
	}
	if state, stays, err := e.stays(ctx, ws, p); err != nil || stays {
		return state, err
	}
	objects, err := e.render(ctx, ws, e.charts.values(ws, named), secrets)
	if err != nil {
		return State{}, err
	}
	if err := e.known(objects); err != nil {
		return State{}, err
	}
	remembered, err := e.remember(ctx, ws, p, objects)
	if err != nil {
		return State{}, err
	}
	live, applied, err := e.applyAll(ctx, objects, secrets)
	if err != nil {
		return State{Changed: remembered || applied}, err
	}
	pruned, err := e.prune(ctx, ws, p, objects)
	if err != nil {
		return State{Changed: true}, err
	}
	state, err = e.verdict(ctx, ws, p, live)
	state.Changed = state.Changed || remembered || applied || pruned
	return state, err
}

func (e *Engine) secrets(ws *v1alpha1.NoteWorkspace) *secrets {
	return &secrets{client: e.client, namespace: ws.Namespace, found: map[string]*corev1.Secret{}}
}

// external reads the Secrets that the spec names. A State with a reason says what is missing.
func external(ctx context.Context, ws *v1alpha1.NoteWorkspace, secrets *secrets) (map[string]*corev1.Secret, State, error) {
	found := map[string]*corev1.Secret{}
	for _, n := range needs(ws) {
		secret, err := secrets.get(ctx, n.secret)
		if err != nil {
			return nil, State{}, err
		}
		if text := n.missing(secret, ws.Namespace); text != "" {
			return nil, State{Reason: SecretMissing, Message: text}, nil
		}
		found[n.secret] = secret
	}
	return found, State{}, nil
}

// stays decides whether the stack has to stay at its version for now; the State is then that of the objects which are there. If it may go,
// p says that it has set out.
func (e *Engine) stays(ctx context.Context, ws *v1alpha1.NoteWorkspace, p *parent) (State, bool, error) {
	if p.revision == e.revision {
		return State{}, false, nil
	}
	if p.revision == "" || p.ownerUID == "" || ws.Spec.Suspended {
		p.revision, p.started, p.wasWhole = e.revision, e.config.Now(), false
		return State{}, false, nil
	}
	fleet, err := e.fleet(ctx)
	if err != nil {
		return State{}, false, err
	}
	live, err := e.liveOf(ctx, ws, p.objects)
	if err != nil {
		return State{}, false, err
	}
	state, err := e.judged(ctx, ws, live)
	if err != nil {
		return State{}, false, err
	}
	w := wave{target: e.revision, atOnce: e.config.UpgradeAtOnce, timeout: e.config.UpgradeTimeout}
	goes, reason, message := w.decide(ws.Namespace+"/"+ws.Name, fleet, e.config.Now())
	if !goes {
		if state.Ready {
			return State{Ready: true, Reason: reason, Message: message}, true, nil
		}
		state.Message += "; it " + message
		return state, true, nil
	}
	p.revision, p.started, p.wasWhole = e.revision, e.config.Now(), state.Ready
	return State{}, false, nil
}

// known refuses objects of kinds that the cluster does not have, before the first is applied.
func (e *Engine) known(objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		kind := o.GroupVersionKind()
		_, err := e.client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) && kind.GroupKind() == cloudNativePG {
			return invalidError{"profile ha needs the CloudNativePG operator, which this cluster does not have: install it, name a PostgreSQL of your own in spec.dedicated.postgres, or choose profile small"}
		}
		if meta.IsNoMatchError(err) {
			return invalidError{fmt.Sprintf("this cluster does not know objects of kind %s in %s: install what brings it", kind.Kind, kind.GroupVersion())}
		}
		if err != nil {
			return fmt.Errorf("kind %s: %w", kind, err)
		}
	}
	return nil
}

// remember writes, before anything is applied, whose the stack is and what it will consist of beside what it consists of now: whatever
// happens next, nothing is forgotten.
func (e *Engine) remember(ctx context.Context, ws *v1alpha1.NoteWorkspace, p *parent, objects []*unstructured.Unstructured) (bool, error) {
	p.owner, p.ownerUID, p.slug, p.suspended = ws.Name, ws.UID, ws.SlugOrName(), ws.Spec.Suspended
	all := map[string]ref{}
	for _, r := range p.objects {
		all[r.id()] = r
	}
	for _, o := range objects {
		all[refOf(o).id()] = refOf(o)
	}
	p.objects = slices.Collect(maps.Values(all))
	return e.save(ctx, ws, p)
}

// applyAll applies what does not stand as rendered, and returns all objects as they are in the cluster.
func (e *Engine) applyAll(ctx context.Context, objects []*unstructured.Unstructured, secrets *secrets) (live []*unstructured.Unstructured, changed bool, err error) {
	for _, want := range objects {
		have, err := e.live(ctx, refOf(want), want.GetNamespace(), secrets)
		if err != nil {
			return nil, changed, err
		}
		if have == nil || have.GetDeletionTimestamp() == nil && !stands(want, have) {
			changed = true
			if have, err = e.apply(ctx, want, have); err != nil {
				return nil, changed, err
			}
		}
		live = append(live, have)
	}
	return live, changed, nil
}

// stands says whether an object is in the cluster as it was rendered. Every field that we have applied is ours in managedFields until
// somebody else sets or removes it: what we no longer own was changed by hand. What a rendering no longer has changes its digest.
func stands(want, have *unstructured.Unstructured) bool {
	if have.GetAnnotations()[renderedAnnotation] != want.GetAnnotations()[renderedAnnotation] {
		return false
	}
	for _, entry := range have.GetManagedFields() {
		if entry.Manager == FieldOwner && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" && entry.FieldsV1 != nil {
			var owned map[string]any
			return json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil && ownsObject(want.Object, owned)
		}
	}
	return false
}

func ownsObject(want, owned map[string]any) bool {
	for key, value := range want {
		if key == "metadata" {
			metadata, _ := value.(map[string]any)
			value = map[string]any{"labels": metadata["labels"], "annotations": metadata["annotations"], "ownerReferences": metadata["ownerReferences"]}
		}
		if key != "apiVersion" && key != "kind" && !owns(map[string]any{key: value}, owned) {
			return false
		}
	}
	return true
}

// owns says whether each field of want is in owned, a set of fields as managedFields has it. One that is empty there is owned as a whole.
func owns(want any, owned map[string]any) bool {
	if len(owned) == 0 {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		for key, value := range want {
			inner, has := owned["f:"+key].(map[string]any)
			if !has && !isEmpty(value) || has && !owns(value, inner) {
				return false
			}
		}
	case []any:
		for _, item := range want {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(owned)), func(key string) bool {
				inner, _ := owned[key].(map[string]any)
				return isItem(item, key) && owns(item, inner)
			}) {
				return false
			}
		}
	}
	return true
}

// isItem says whether a key of managedFields, such as k:{"name":"user"} or v:"a", is that of an item in a list. What the item does not
// say of its key is the API server's default.
func isItem(item any, key string) bool {
	kind, text, _ := strings.Cut(key, ":")
	var of any
	if json.Unmarshal([]byte(text), &of) != nil {
		return false
	}
	if kind == "v" {
		return fmt.Sprint(of) == fmt.Sprint(item)
	}
	fields, isKey := of.(map[string]any)
	have, isMap := item.(map[string]any)
	if kind != "k" || !isKey || !isMap {
		return false
	}
	for name, value := range fields {
		if own, says := have[name]; says && fmt.Sprint(own) != fmt.Sprint(value) {
			return false
		}
	}
	return true
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// apply applies an object, and returns what became of it. have is what there was, or nil.
func (e *Engine) apply(ctx context.Context, want, have *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	applied := want.DeepCopy()
	err := e.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner(FieldOwner), client.ForceOwnership)
	if err == nil {
		return applied, nil
	}
	if apierrors.IsInvalid(err) && have != nil && want.GetKind() == "StatefulSet" {
		return e.grow(ctx, want, have)
	}
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
		return nil, invalidError{err.Error()}
	}
	return nil, fmt.Errorf("apply %s: %w", called(want), err)
}

// live returns an object as it is in the cluster, or nil.
func (e *Engine) live(ctx context.Context, r ref, namespace string, secrets *secrets) (*unstructured.Unstructured, error) {
	if r.gvk() == corev1.SchemeGroupVersion.WithKind("Secret") {
		secret, err := secrets.get(ctx, r.name)
		if err != nil || secret == nil {
			return nil, err
		}
		return unstructuredOf(secret, r)
	}
	var object client.Object = &unstructured.Unstructured{}
	if typed, err := e.client.Scheme().New(r.gvk()); err == nil {
		// Of known types: these are what a cache holds.
		if typed, is := typed.(client.Object); is {
			object = typed
		}
	}
	object.GetObjectKind().SetGroupVersionKind(r.gvk())
	err := e.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: r.name}, object)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.kind, r.name, err)
	}
	return unstructuredOf(object, r)
}

func unstructuredOf(o client.Object, r ref) (*unstructured.Unstructured, error) {
	if already, is := o.(*unstructured.Unstructured); is {
		return already, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.kind, r.name, err)
	}
	found := &unstructured.Unstructured{Object: content}
	found.SetGroupVersionKind(r.gvk())
	return found, nil
}

// liveOf returns those of the objects that are in the cluster.
func (e *Engine) liveOf(ctx context.Context, ws *v1alpha1.NoteWorkspace, objects []ref) ([]*unstructured.Unstructured, error) {
	secrets := e.secrets(ws)
	var found []*unstructured.Unstructured
	for _, r := range objects {
		o, err := e.live(ctx, r, ws.Namespace, secrets)
		if err != nil {
			return nil, err
		}
		if o != nil {
			found = append(found, o)
		}
	}
	return found, nil
}

// verdict judges what was applied, and remembers a revision that the stack is whole with.
func (e *Engine) verdict(ctx context.Context, ws *v1alpha1.NoteWorkspace, p *parent, live []*unstructured.Unstructured) (State, error) {
	state, err := e.judged(ctx, ws, live)
	if err != nil {
		return State{}, err
	}
	upgrading := p.whole != "" && p.whole != p.revision
	if state.Ready || state.Reason == Suspended && upgrading {
		p.whole, p.started, p.wasWhole = p.revision, time.Time{}, false
		state.Changed, err = e.save(ctx, ws, p)
		return state, err
	}
	if !upgrading || ws.Spec.Suspended {
		return state, nil
	}
	if state.Reason == Progressing {
		state.Reason = Upgrading
	}
	state.Message = fmt.Sprintf("on the way from %s to %s: %s", versionOf(p.whole), versionOf(p.revision), state.Message)
	if p.wasWhole && e.config.Now().Sub(p.started) > e.config.UpgradeTimeout {
		state.Message += "; the upgrades of other stacks are held until this one is whole"
	}
	return state, nil
}

// judged reads pods and volume claims, and judges them with the objects.
func (e *Engine) judged(ctx context.Context, ws *v1alpha1.NoteWorkspace, live []*unstructured.Unstructured) (State, error) {
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	for _, list := range []client.ObjectList{&pods, &claims} {
		if err := e.client.List(ctx, list, client.InNamespace(ws.Namespace), client.MatchingLabels{Label: Name(ws)}); err != nil {
			return State{}, fmt.Errorf("list %T: %w", list, err)
		}
	}
	if ws.Spec.Suspended {
		return judgeSuspended(pods.Items), nil
	}
	return judge(live, pods.Items, claims.Items), nil
}
