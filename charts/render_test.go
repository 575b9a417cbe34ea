package charts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	clientgo "k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// An install is what `helm install` is told.
type install struct {
	chart   string // a folder; Umbrella when empty
	release string // "noteworks" when empty
	values  map[string]any
	upgrade bool
	cluster []object // what `lookup` finds
	valid   bool     // another test has held the values against the schemas, which takes as long as rendering
}

// A release is what comes of it.
type release struct {
	install
	objects []object
	notes   string
	refused []string // documents that the API's types do not take, and why
}

type object struct {
	template string
	runtime.Object
}

const namespace = "team"

func (o object) meta() metav1.Object {
	m, err := meta.Accessor(o.Object)
	if err != nil {
		panic(err) // every type in the scheme has metadata
	}
	return m
}

func (o object) kind() string { return o.GetObjectKind().GroupVersionKind().Kind }

// String names an object as people do: Service noteworks-user.
func (o object) String() string { return o.kind() + " " + o.meta().GetName() }

// alone says that the chart is installed without the others, whose objects it then takes for given.
func (r *release) alone() bool { return r.chart != Umbrella }

// all returns the release's objects of one type.
func all[T runtime.Object](r *release) []T {
	var found []T
	for _, o := range r.objects {
		if typed, ok := o.Object.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// named returns the object of a type and name, and whether there is one.
func named[T interface {
	runtime.Object
	metav1.Object
}](r *release, name string) (T, bool) {
	for _, o := range all[T](r) {
		if o.GetName() == name {
			return o, true
		}
	}
	var none T
	return none, false
}

// types are those of the API server, and those that others add to it.
//
//nolint:gochecknoglobals // made once, and only read
var types = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgo.AddToScheme, apiextensionsv1.AddToScheme, gatewayv1.Install, monitoringv1.AddToScheme, addCloudNativePG,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
})

// render does in this process what `helm install` or `helm upgrade` does before it asks the API server.
func render(in install) (*release, error) {
	if in.chart == "" {
		in.chart = Umbrella
	}
	if in.release == "" {
		in.release = "noteworks"
	}
	loaded, err := Load(in.chart)
	if err != nil {
		return nil, err
	}
	values := copied(in.values)
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return nil, err
	}
	options := common.ReleaseOptions{Name: in.release, Namespace: namespace, Revision: 1, IsInstall: !in.upgrade, IsUpgrade: in.upgrade}
	top, err := util.ToRenderValuesWithSchemaValidation(loaded, values, options, nil, in.valid)
	if err != nil {
		return nil, err
	}
	scheme := types()
	rendered, err := engine.RenderWithClientProvider(loaded, top, clusterOf(scheme, in.cluster))
	if err != nil {
		return nil, err
	}
	r := &release{install: in}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		switch {
		case strings.HasSuffix(name, "/NOTES.txt"):
			if name == loaded.Name()+"/templates/NOTES.txt" {
				r.notes = rendered[name]
			}
		case strings.HasSuffix(name, ".yaml"):
			if err := r.decode(scheme, name, rendered[name]); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return r, nil
}

// decode takes the documents of a template apart and reads each strictly: an unknown or repeated field is refused, as by
// `kubectl apply --validate=strict`.
func (r *release) decode(scheme *runtime.Scheme, template, text string) error {
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if isEmpty(document) {
			continue
		}
		typed, _, err := decoder.Decode(bytes.TrimSpace(document), nil, nil)
		if err != nil {
			r.refused = append(r.refused, fmt.Sprintf("%s: %v", template, err))
		}
		if typed == nil {
			continue
		}
		o := object{template: template, Object: typed}
		if o.meta().GetNamespace() == "" {
			o.meta().SetNamespace(namespace)
		}
		r.objects = append(r.objects, o)
	}
}

// isEmpty says whether a document has nothing but comments.
func isEmpty(document []byte) bool {
	for line := range bytes.Lines(document) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

// rendered is render for charts and values that must do.
func rendered(t *testing.T, in install) *release {
	t.Helper()
	r, err := render(in)
	if err != nil {
		t.Fatalf("it does not render: %v", err)
	}
	return r
}

// copied keeps a test's values from what Helm writes into them.
func copied(values map[string]any) map[string]any {
	if values == nil {
		return map[string]any{}
	}
	return runtime.DeepCopyJSON(values)
}

// A cluster is what Helm's lookup asks. Most renderings never do.
type cluster struct {
	client func() dynamic.Interface
}

func clusterOf(scheme *runtime.Scheme, objects []object) cluster {
	return cluster{sync.OnceValue(func() dynamic.Interface {
		here := make([]runtime.Object, len(objects))
		for i, o := range objects {
			here[i] = o.Object
		}
		return fake.NewSimpleDynamicClient(scheme, here...)
	})}
}

func (c cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	kinds := schema.FromAPIVersionAndKind(apiVersion, kind)
	if !types().Recognizes(kinds) {
		return nil, false, fmt.Errorf("no such kind: %s", kinds)
	}
	plural, _ := meta.UnsafeGuessKindToResource(kinds)
	return c.client().Resource(plural), true, nil
}

var _ engine.ClientProvider = cluster{}

func jsonOf(o object) (string, error) {
	text, err := json.Marshal(o.Object)
	return string(text), err
}
