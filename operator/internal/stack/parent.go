package stack

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

// The conventions of ApplySets (KEP-3659), by which kubectl, too, knows what belongs together.
const (
	setLabel          = "applyset.kubernetes.io/id"
	partOfLabel       = "applyset.kubernetes.io/part-of"
	toolingAnnotation = "applyset.kubernetes.io/tooling"
	kindsAnnotation   = "applyset.kubernetes.io/contains-group-kinds"
	tooling           = FieldOwner + "/v1"
)

// What a parent remembers in annotations, beside its objects.
const (
	slugAnnotation      = "noteworks.dev/slug"
	ownerAnnotation     = "noteworks.dev/owner"
	ownerUIDAnnotation  = "noteworks.dev/owner-uid"
	revisionAnnotation  = "noteworks.dev/revision"
	wholeAnnotation     = "noteworks.dev/whole-revision"
	startedAnnotation   = "noteworks.dev/upgrade-started"
	wasWholeAnnotation  = "noteworks.dev/upgrade-from-whole"
	suspendedAnnotation = "noteworks.dev/suspended"
	objectsKey          = "objects"
)

// A parent is the ConfigMap that remembers a stack: whose it is, what was applied, and of which revision. It has no owner reference, as it
// also remembers what outlives its workspace.
type parent struct {
	slug      string
	owner     string // the NoteWorkspace's name; empty when what is left waits for another
	ownerUID  types.UID
	revision  string // what was applied last, or is being applied
	whole     string // the last revision that everything was well with
	started   time.Time
	wasWhole  bool // when the upgrade to revision began
	suspended bool
	objects   []ref

	configMap *corev1.ConfigMap // as it was read; nil before it was written
}

// A ref is an object that was applied.
type ref struct {
	apiVersion, kind, name string
	kept                   bool
}

func refOf(o *unstructured.Unstructured) ref {
	return ref{o.GetAPIVersion(), o.GetKind(), o.GetName(), kept(o)}
}

func (r ref) gvk() schema.GroupVersionKind { return schema.FromAPIVersionAndKind(r.apiVersion, r.kind) }

// id is what makes two refs the same object: not the version that it was written in.
func (r ref) id() string { return r.gvk().GroupKind().String() + " " + r.name }

func (r ref) String() string {
	line := r.apiVersion + " " + r.kind + " " + r.name
	if r.kept {
		line += " kept"
	}
	return line
}

func parentName(ws *v1alpha1.NoteWorkspace) string { return Name(ws) + "-stack" }

// setID names the set of a stack's objects, as the conventions prescribe: by the parent's name, namespace, kind and group.
func setID(ws *v1alpha1.NoteWorkspace) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{parentName(ws), ws.Namespace, "ConfigMap", ""}, ".")))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}

// parent returns what is remembered of the stack of ws: nothing, at first.
func (e *Engine) parent(ctx context.Context, ws *v1alpha1.NoteWorkspace) (parent, error) {
	configMap := &corev1.ConfigMap{}
	err := e.client.Get(ctx, client.ObjectKey{Namespace: ws.Namespace, Name: parentName(ws)}, configMap)
	if apierrors.IsNotFound(err) {
		return parent{slug: ws.SlugOrName()}, nil
	}
	if err != nil {
		return parent{}, fmt.Errorf("ConfigMap %s: %w", parentName(ws), err)
	}
	return parentIn(configMap), nil
}

func parentIn(c *corev1.ConfigMap) parent {
	p := parent{
		slug: c.Annotations[slugAnnotation], owner: c.Annotations[ownerAnnotation], ownerUID: types.UID(c.Annotations[ownerUIDAnnotation]),
		revision: c.Annotations[revisionAnnotation], whole: c.Annotations[wholeAnnotation],
		wasWhole: c.Annotations[wasWholeAnnotation] == "true", suspended: c.Annotations[suspendedAnnotation] == "true",
		configMap: c,
	}
	p.started, _ = time.Parse(time.RFC3339, c.Annotations[startedAnnotation]) // what somebody spoilt is long ago
	for line := range strings.Lines(c.Data[objectsKey]) {
		if words := strings.Fields(line); len(words) >= 3 {
			p.objects = append(p.objects, ref{words[0], words[1], words[2], len(words) > 3})
		}
	}
	return p
}

// takenBy returns the name of the living NoteWorkspace that has the stack, if it is not ws.
func (e *Engine) takenBy(ctx context.Context, p parent, ws *v1alpha1.NoteWorkspace) (string, error) {
	if p.ownerUID == "" || p.ownerUID == ws.UID && p.slug == ws.SlugOrName() {
		return "", nil
	}
	other := &v1alpha1.NoteWorkspace{}
	err := e.client.Get(ctx, client.ObjectKey{Namespace: ws.Namespace, Name: p.owner}, other)
	if apierrors.IsNotFound(err) || err == nil && other.UID != p.ownerUID {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("NoteWorkspace %s: %w", p.owner, err)
	}
	return p.owner, nil
}

// save writes p if it is not what was read, and says whether it did. Two that write at once are told apart: the second gets an error.
func (e *Engine) save(ctx context.Context, ws *v1alpha1.NoteWorkspace, p *parent) (bool, error) {
	next := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ws.Namespace, Name: parentName(ws)}}
	if p.configMap != nil {
		next = p.configMap.DeepCopy()
	}
	p.writeTo(next, ws)
	if p.configMap != nil && maps.Equal(next.Labels, p.configMap.Labels) && maps.Equal(next.Annotations, p.configMap.Annotations) &&
		maps.Equal(next.Data, p.configMap.Data) {
		return false, nil
	}
	write := func() error {
		return e.client.Patch(ctx, next, client.MergeFromWithOptions(p.configMap, client.MergeFromWithOptimisticLock{}), client.FieldOwner(FieldOwner))
	}
	if p.configMap == nil {
		write = func() error { return e.client.Create(ctx, next, client.FieldOwner(FieldOwner)) }
	}
	if err := write(); err != nil {
		return false, fmt.Errorf("ConfigMap %s: %w", next.Name, err)
	}
	p.configMap = next
	return true, nil
}

func (p *parent) writeTo(c *corev1.ConfigMap, ws *v1alpha1.NoteWorkspace) {
	label := func(into *map[string]string, of map[string]string) {
		if *into == nil {
			*into = map[string]string{}
		}
		for key, value := range of {
			if (*into)[key] = value; value == "" {
				delete(*into, key)
			}
		}
	}
	kinds, lines := map[string]bool{}, make([]string, 0, len(p.objects))
	for _, r := range p.objects {
		kinds[r.gvk().GroupKind().String()] = true
		lines = append(lines, r.String())
	}
	slices.Sort(lines)
	label(&c.Labels, map[string]string{setLabel: setID(ws), Label: Name(ws), managedByLabel: FieldOwner})
	label(&c.Annotations, map[string]string{
		toolingAnnotation: tooling, kindsAnnotation: strings.Join(slices.Sorted(maps.Keys(kinds)), ","),
		slugAnnotation: p.slug, ownerAnnotation: p.owner, ownerUIDAnnotation: string(p.ownerUID),
		revisionAnnotation: p.revision, wholeAnnotation: p.whole,
		startedAnnotation:  textIf(!p.started.IsZero(), p.started.UTC().Format(time.RFC3339)),
		wasWholeAnnotation: textIf(p.wasWhole, "true"), suspendedAnnotation: textIf(p.suspended, "true"),
	})
	label(&c.Data, map[string]string{objectsKey: strings.Join(lines, "\n")})
}

func textIf(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}
