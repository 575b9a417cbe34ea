package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"noteworks.dev/charts"
	"noteworks.dev/operator/api/v1alpha1"
)

const (
	// Label is on everything of a stack, pods and volume claims too, and on the ConfigMap that remembers it; its value is the release's name.
	Label = "noteworks.dev/stack"
	// What an object was rendered as when it was applied last.
	renderedAnnotation = "noteworks.dev/rendered"
	managedByLabel     = "app.kubernetes.io/managed-by"
	keepAnnotation     = "helm.sh/resource-policy"
	hibernation        = "cnpg.io/hibernation"
)

// A rendering is what came of rendering, and from what: it holds as long as all of that stays.
type rendering struct {
	digest  string
	seen    map[string]string // what lookup found: of each Secret's data a digest, or nothing
	objects []*unstructured.Unstructured
}

// invalidError is what the charts or the API server say about a spec that they do not take.
type invalidError struct{ sentence string }

func (e invalidError) Error() string { return e.sentence }

// render returns the objects of the stack of ws in the order to apply them. They are shared: copy before you change one.
func (e *Engine) render(ctx context.Context, ws *v1alpha1.NoteWorkspace, of values, secrets *secrets) ([]*unstructured.Unstructured, error) {
	settings, err := json.Marshal([]any{e.revision, ws.UID, ws.Name, ws.Spec.Suspended, of})
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	key, sum := client.ObjectKeyFromObject(ws), digest(settings)
	e.mu.Lock()
	had := e.rendered[key]
	e.mu.Unlock()
	if had.digest == sum {
		if same, err := secrets.same(ctx, had.seen); err != nil || same {
			return had.objects, err
		}
	}
	seen := &lookup{ctx: ctx, secrets: secrets, prefix: Name(ws) + "-", seen: map[string]string{}}
	objects, err := template(ws, of, seen)
	if err != nil {
		return nil, errors.Join(seen.failed, err)
	}
	for _, o := range objects {
		if err := finish(ws, o); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rendered[key] = rendering{digest: sum, seen: seen.seen, objects: objects}
	return objects, nil
}

// template does in this process what `helm install` does before it asks the API server.
func template(ws *v1alpha1.NoteWorkspace, of values, cluster engine.ClientProvider) ([]*unstructured.Unstructured, error) {
	chart, err := charts.Load(charts.Umbrella)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(chart, of); err != nil {
		return nil, refused(err)
	}
	options := common.ReleaseOptions{Name: Name(ws), Namespace: ws.Namespace, Revision: 1, IsInstall: true}
	top, err := util.ToRenderValues(chart, of, options, nil)
	if err != nil {
		return nil, refused(err)
	}
	files, err := engine.RenderWithClientProvider(chart, top, cluster)
	if err != nil {
		return nil, refused(err)
	}
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasSuffix(name, "/NOTES.txt") })
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("rendered charts: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, m := range manifests {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(m.Content), o); err != nil {
			return nil, fmt.Errorf("rendered %s: %w", m.Name, err)
		}
		if !ws.Spec.Suspended || !slices.Contains([]string{"HorizontalPodAutoscaler", "PodDisruptionBudget"}, o.GetKind()) {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// refused keeps of the engine's error what the chart says in it.
func refused(err error) error {
	where := regexp.MustCompile(`(?s)^.*(execution error at|error calling fail:|error calling include:) (\([^)]*\): )?`)
	return invalidError{where.ReplaceAllString(err.Error(), "")}
}

// finish makes a rendered object one of the stack's.
func finish(ws *v1alpha1.NoteWorkspace, o *unstructured.Unstructured) error {
	release := Name(ws)
	o.SetNamespace(ws.Namespace)
	label(o.Object, map[string]string{managedByLabel: FieldOwner, Label: release, partOfLabel: setID(ws)}, "metadata", "labels")
	if !kept(o) {
		// The garbage collector takes it if nobody else does.
		o.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "NoteWorkspace", Name: ws.Name, UID: ws.UID, Controller: new(true),
		}})
	}
	mine := map[string]string{Label: release}
	switch o.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		label(o.Object, mine, "spec", "template", "metadata", "labels")
		templates, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates")
		for _, t := range templates {
			label(t.(map[string]any), mine, "metadata", "labels") //nolint:errcheck,forcetypeassert // rendered so
		}
		if len(templates) > 0 {
			_ = unstructured.SetNestedSlice(o.Object, templates, "spec", "volumeClaimTemplates")
		}
		if ws.Spec.Suspended {
			_ = unstructured.SetNestedField(o.Object, int64(0), "spec", "replicas")
		}
	case cloudNativePG:
		label(o.Object, mine, "spec", "inheritedMetadata", "labels")
		label(o.Object, map[string]string{hibernation: map[bool]string{true: "on", false: "off"}[ws.Spec.Suspended]}, "metadata", "annotations")
	}
	text, err := o.MarshalJSON()
	if err != nil {
		return fmt.Errorf("%s: %w", called(o), err)
	}
	label(o.Object, map[string]string{renderedAnnotation: digest(text)[:32]}, "metadata", "annotations")
	return nil
}

// cloudNativePG is the kind of a PostgreSQL cluster that another operator runs.
//
//nolint:gochecknoglobals // a constant, had Go constant structs
var cloudNativePG = schema.GroupKind{Group: "postgresql.cnpg.io", Kind: "Cluster"}

// label adds to the map of texts at a path.
func label(object map[string]any, add map[string]string, path ...string) {
	have, _, _ := unstructured.NestedStringMap(object, path...)
	if have == nil {
		have = map[string]string{}
	}
	maps.Copy(have, add)
	_ = unstructured.SetNestedStringMap(object, have, path...) // nothing but maps on the way in what the charts render
}

// kept says whether an object outlives its stack.
func kept(o *unstructured.Unstructured) bool {
	return o.GetAnnotations()[keepAnnotation] == "keep" || o.GetKind() == "PersistentVolumeClaim"
}

// called names an object as people do: Service acme-nw-user.
func called(o client.Object) string {
	return o.GetObjectKind().GroupVersionKind().Kind + " " + o.GetName()
}

// secrets reads the Secrets of one namespace, by name, each once.
type secrets struct {
	client    client.Client
	namespace string
	found     map[string]*corev1.Secret
}

// get returns nil if there is no Secret of that name.
func (s *secrets) get(ctx context.Context, name string) (*corev1.Secret, error) {
	if secret, known := s.found[name]; known {
		return secret, nil
	}
	secret := &corev1.Secret{}
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		secret, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	s.found[name] = secret
	return secret, nil
}

// same says whether lookup would still find what it has seen.
func (s *secrets) same(ctx context.Context, seen map[string]string) (bool, error) {
	for name, was := range seen {
		secret, err := s.get(ctx, name)
		if err != nil {
			return false, err
		}
		if dataDigest(secret) != was {
			return false, nil
		}
	}
	return true, nil
}

func dataDigest(secret *corev1.Secret) string {
	if secret == nil {
		return ""
	}
	var parts [][]byte
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		parts = append(parts, []byte(key), secret.Data[key])
	}
	return digest(parts...)
}

// lookup is the part of the cluster that the charts may look at: the release's own Secrets.
type lookup struct {
	ctx     context.Context
	secrets *secrets
	prefix  string
	seen    map[string]string
	failed  error // of the API server, which is not the spec's fault
}

var _ engine.ClientProvider = &lookup{}

func (l *lookup) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if apiVersion != "v1" || kind != "Secret" {
		return nil, false, fmt.Errorf("charts may look up Secrets, not %s of %s", kind, apiVersion)
	}
	return lookupSecrets{lookup: l}, true, nil
}

// lookupSecrets answers Get, the only method that a rendering calls.
type lookupSecrets struct {
	dynamic.NamespaceableResourceInterface
	lookup *lookup
}

func (s lookupSecrets) Namespace(namespace string) dynamic.ResourceInterface {
	if namespace != s.lookup.secrets.namespace {
		s.lookup.prefix = "/" // the name of no Secret begins so
	}
	return s
}

func (s lookupSecrets) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return nil, errors.New("charts may look up a Secret by its name only")
}

// Get does not use its context, which is not that of the rendering's caller.
func (s lookupSecrets) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	l := s.lookup
	if !strings.HasPrefix(name, l.prefix) {
		return nil, fmt.Errorf("charts may look up Secrets of their release, not %s", name)
	}
	secret, err := l.secrets.get(l.ctx, name)
	if err != nil {
		l.failed = err
		return nil, err
	}
	l.seen[name] = dataDigest(secret)
	if secret == nil {
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(secret)
	return &unstructured.Unstructured{Object: object}, err
}
