package stack

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"noteworks.dev/operator/api/v1alpha1"
)

// rendered is what a stack would be, on a cluster that has nothing but these Secrets.
func rendered(t *testing.T, ws *v1alpha1.NoteWorkspace, config Config, have ...client.Object) ([]*unstructured.Unstructured, error) {
	t.Helper()
	config.Version = "1.0.0"
	e, err := New(fake.NewClientBuilder().WithObjects(have...).Build(), config)
	if err != nil {
		t.Fatal(err)
	}
	return renderedBy(t.Context(), e, ws)
}

func renderedBy(ctx context.Context, e *Engine, ws *v1alpha1.NoteWorkspace) ([]*unstructured.Unstructured, error) {
	secrets := e.secrets(ws)
	named, state, err := external(ctx, ws, secrets)
	if err != nil || state.Reason != "" {
		return nil, errors.Join(err, errors.New(state.Message))
	}
	return e.render(ctx, ws, e.charts.values(ws, named), secrets)
}

func mustRender(t *testing.T, ws *v1alpha1.NoteWorkspace, config Config, have ...client.Object) []*unstructured.Unstructured {
	t.Helper()
	objects, err := rendered(t, ws, config, have...)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// the returns the object of a name such as Deployment acme-nw-user.
func the(t *testing.T, name string, objects []*unstructured.Unstructured) string {
	t.Helper()
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return called(o) == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	text, err := json.Marshal(objects[i])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func kinds(objects []*unstructured.Unstructured) map[string]int {
	found := map[string]int{}
	for _, o := range objects {
		found[o.GetKind()]++
	}
	return found
}

func acme(change func(*v1alpha1.Dedicated)) *v1alpha1.NoteWorkspace {
	ws := ofSlug("acme")
	ws.UID = "6dca5c9c-3f0b-4f43-8d1e-7ab1d0a3c8a1"
	ws.Spec.Isolation = v1alpha1.IsolationDedicated
	ws.Spec.Dedicated = &v1alpha1.Dedicated{Profile: v1alpha1.ProfileDev}
	change(ws.Spec.Dedicated)
	return ws
}

func TestWhatASpecSaysStandsInTheObjects(t *testing.T) {
	t.Parallel()
	platform := Config{
		ImageRegistry: "registry.example.org/team", ImageTag: "v7", PullPolicy: "Never", PullSecrets: []string{"pull"}, BaseDomain: "notes.example.org",
		OperatorNamespace: "noteworks", OperatorServiceAccount: "noteworks-operator",
		Values: map[string]any{"global": map[string]any{"tracing": map[string]any{"endpoint": "http://collector.infra:4318"}}},
	}
	urls := &corev1.Secret{Data: map[string][]byte{
		"user-url": []byte("postgres://a:b@db.infra:6432/users"), "user-migrate-url": []byte("postgres://c:d@db.infra:6432/users"),
		"note-url": []byte("postgres://a:b@db.infra:6432/notes"), "note-migrate-url": []byte("postgres://c:d@db.infra:6432/notes"),
	}}
	urls.Name, urls.Namespace = "urls", "team"
	passwords := &corev1.Secret{Data: map[string][]byte{"user": []byte("u"), "note": []byte("n"), "gateway": []byte("g")}}
	passwords.Name, passwords.Namespace = "passwords", "team"

	for name, c := range map[string]struct {
		change func(*v1alpha1.Dedicated)
		object string
		has    []string
	}{
		"the platform's images": {func(*v1alpha1.Dedicated) {}, "Deployment acme-nw-gateway", []string{
			`"image":"registry.example.org/team/noteworks/gateway:v7"`, `"imagePullPolicy":"Never"`, `"imagePullSecrets":[{"name":"pull"}]`,
		}},
		"the operator may call, with a token for this stack": {func(*v1alpha1.Dedicated) {}, "Deployment acme-nw-user", []string{
			`note=team/acme-nw-note,operator=noteworks/noteworks-operator`, `"value":"noteworks-user.team.acme-nw"`, `"notes.example.org"`, "http://collector.infra:4318",
		}},
		"note shows user a token of this stack": {func(*v1alpha1.Dedicated) {}, "Deployment acme-nw-note", []string{`"audience":"noteworks-user.team.acme-nw"`}},
		"the operator's pods are let in":        {func(*v1alpha1.Dedicated) {}, "NetworkPolicy acme-nw-user", []string{`"kubernetes.io/metadata.name":"noteworks"`}},
		"resources": {func(d *v1alpha1.Dedicated) {
			d.Resources.Note = &v1alpha1.Resources{Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")}}
		}, "Deployment acme-nw-note", []string{`"memory":"1Gi"`}},
		"storage": {func(d *v1alpha1.Dedicated) {
			d.Storage = v1alpha1.Storage{ClassName: new("fast"), Postgres: new(resource.MustParse("20Gi"))}
		}, "StatefulSet acme-nw-postgres", []string{`"storage":"20Gi"`, `"storageClassName":"fast"`}},
		"a PostgreSQL of one's own": {func(d *v1alpha1.Dedicated) {
			d.Postgres = &v1alpha1.ExternalPostgres{SecretRef: v1alpha1.SecretReference{Name: "urls"}}
		}, "Deployment acme-nw-note", []string{`"secretName":"urls"`, `"key":"note-url"`, `"key":"note-migrate-url"`, `"checksum/database"`}},
		"its port is let through": {func(d *v1alpha1.Dedicated) {
			d.Postgres = &v1alpha1.ExternalPostgres{SecretRef: v1alpha1.SecretReference{Name: "urls"}}
		}, "NetworkPolicy acme-nw-user", []string{`"port":6432`}},
		"a NATS of one's own": {func(d *v1alpha1.Dedicated) {
			d.NATS = &v1alpha1.ExternalNATS{URL: "nats://nats.infra:4222", SecretRef: v1alpha1.SecretReference{Name: "passwords"}}
		}, "Deployment acme-nw-gateway", []string{`nats://nats.infra:4222`, `"secretName":"passwords"`, `"key":"gateway"`, `"checksum/nats"`}},
		"three of everything": {func(d *v1alpha1.Dedicated) { d.Profile = v1alpha1.ProfileHA }, "Cluster acme-nw-postgres", []string{
			`"instances":3`, `"cnpg.io/hibernation":"off"`, `"noteworks.dev/stack":"acme-nw"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := the(t, c.object, mustRender(t, acme(c.change), platform, urls, passwords))
			for _, want := range c.has {
				if !strings.Contains(object, want) {
					t.Errorf("%s has no %s: %s", c.object, want, object)
				}
			}
		})
	}
}

func TestAStackHasNoOwnRouteJaegerOrWorkspace(t *testing.T) {
	t.Parallel()
	for _, profile := range []v1alpha1.Profile{v1alpha1.ProfileDev, v1alpha1.ProfileSmall, v1alpha1.ProfileHA} {
		objects := mustRender(t, acme(func(d *v1alpha1.Dedicated) { d.Profile = profile }), Config{})
		for _, o := range objects {
			if strings.Contains(o.GetName(), "jaeger") || strings.Contains(o.GetName(), "owner-") || o.GetKind() == "Ingress" || o.GetKind() == "HTTPRoute" {
				t.Errorf("%s: %s", profile, called(o))
			}
			if o.GetLabels()[Label] != "acme-nw" || o.GetNamespace() != "team" {
				t.Errorf("%s: %s is not the stack's: %v", profile, called(o), o.GetLabels())
			}
			if owners := o.GetOwnerReferences(); kept(o) != (len(owners) == 0) {
				t.Errorf("%s: %s is kept: %t, and owned by %v", profile, called(o), kept(o), owners)
			}
		}
	}
}

func TestASuspendedStackRunsNothing(t *testing.T) {
	t.Parallel()
	for _, profile := range []v1alpha1.Profile{v1alpha1.ProfileDev, v1alpha1.ProfileHA} {
		ws := acme(func(d *v1alpha1.Dedicated) { d.Profile = profile })
		ws.Spec.Suspended = true
		objects := mustRender(t, ws, Config{})
		if found := kinds(objects); found["HorizontalPodAutoscaler"]+found["PodDisruptionBudget"] > 0 || found["Secret"] == 0 {
			t.Errorf("%s: %v", profile, found)
		}
		for _, o := range objects {
			replicas, has, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
			if kind := o.GetKind(); (kind == "Deployment" || kind == "StatefulSet") && (!has || replicas != 0) {
				t.Errorf("%s: %s has %d replicas", profile, called(o), replicas)
			}
		}
		if profile == v1alpha1.ProfileHA && !strings.Contains(the(t, "Cluster acme-nw-postgres", objects), `"cnpg.io/hibernation":"on"`) {
			t.Error("the database cluster does not sleep")
		}
	}
}

func TestWhatTheChartsRefuseIsToldInTheirWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config Config
		says   string
	}{
		"a rule":   {Config{Values: map[string]any{"user": map[string]any{"nameOverride": "x"}}}, "user.nameOverride is set, but the other charts"},
		"a schema": {Config{Values: map[string]any{"user": map[string]any{"replicaz": 1}}}, "replicaz"},
	} {
		_, err := rendered(t, acme(func(*v1alpha1.Dedicated) {}), c.config)
		invalid, is := errors.AsType[invalidError](err)
		if !is || !strings.Contains(invalid.sentence, c.says) || strings.Contains(invalid.sentence, "execution error") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASecretThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	n := need{"spec.dedicated.nats.secretRef", "nats", []string{"user", "note"}}
	half := &corev1.Secret{Data: map[string][]byte{"user": []byte("x"), "note": {}}}
	for want, secret := range map[string]*corev1.Secret{
		"spec.dedicated.nats.secretRef: there is no Secret nats in namespace team: make it, with the keys user, note": nil,
		"spec.dedicated.nats.secretRef: Secret nats lacks the keys note: add them":                                    half,
	} {
		if got := n.missing(secret, "team"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	half.Data["note"] = []byte("y")
	if got := n.missing(half, "team"); got != "" {
		t.Errorf("nothing is missing, but: %s", got)
	}
}

func TestARevisionIsOfAllThatThePlatformSays(t *testing.T) {
	t.Parallel()
	revision := func(c Config) string {
		e, err := New(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		return e.revision
	}
	one := revision(Config{Version: "1.2.0-rc.1", BaseDomain: "a.example"})
	if one != revision(Config{Version: "1.2.0-rc.1", BaseDomain: "a.example"}) || one == revision(Config{Version: "1.2.0-rc.1", BaseDomain: "b.example"}) {
		t.Error("equal platforms differ, or different ones do not")
	}
	if versionOf(one) != "1.2.0-rc.1" || versionOf("") != "" {
		t.Errorf("the version of %s is %s", one, versionOf(one))
	}
}
