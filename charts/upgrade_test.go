package charts

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// secretData is what a release's Secrets hold, as the API server would keep it.
func secretData(r *release) map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, s := range all[*corev1.Secret](r) {
		found[s.Name] = map[string]string{}
		for key, value := range s.Data {
			found[s.Name][key] = string(value)
		}
		maps.Copy(found[s.Name], s.StringData)
	}
	return found
}

// kept does what the API server does with a release's objects: it writes stringData into data.
func kept(r *release) []object {
	objects := slices.Clone(r.objects)
	for i, o := range objects {
		if s, is := o.Object.(*corev1.Secret); is {
			s = s.DeepCopy()
			for key, value := range s.StringData {
				if s.Data == nil {
					s.Data = map[string][]byte{}
				}
				s.Data[key] = []byte(value)
			}
			s.StringData = nil
			objects[i].Object = s
		}
	}
	return objects
}

func TestAnUpgradeChangesNothing(t *testing.T) {
	t.Parallel()
	for name, in := range installs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := rendered(t, in)
			in.upgrade, in.cluster = true, kept(first)
			second := rendered(t, in)
			before, after := texts(t, first), texts(t, second)
			for name := range maps.Keys(before) {
				if before[name] != after[name] {
					t.Errorf("%s changed: %s", name, difference(before[name], after[name]))
				}
			}
			if len(before) != len(after) {
				t.Errorf("%d objects, then %d", len(before), len(after))
			}
		})
	}
}

func TestSecretsOutliveAnUpgradeToAnotherProfile(t *testing.T) {
	t.Parallel()
	first := rendered(t, install{values: profiles(t)["dev"]})
	before := secretData(first)
	if len(before) < 5 {
		t.Fatalf("dev makes %d Secrets only", len(before))
	}
	kind := map[string]corev1.SecretType{}
	for _, s := range all[*corev1.Secret](first) {
		kind[s.Name] = s.Type
	}
	for name, values := range profiles(t) {
		t.Run("from dev to "+name, func(t *testing.T) {
			t.Parallel()
			second := rendered(t, install{values: values, upgrade: true, cluster: kept(first)})
			after := secretData(second)
			for _, s := range all[*corev1.Secret](second) {
				if was, there := kind[s.Name]; there && was != s.Type {
					t.Errorf("Secret %s becomes a %s, and a Secret's type cannot be changed", s.Name, s.Type)
				}
			}
			for secret, data := range before {
				for key, value := range data {
					if now, still := after[secret]; still && passwordIn(now[key]) != passwordIn(value) {
						t.Errorf("Secret %s has another %s", secret, key)
					}
				}
			}
		})
	}
}

// passwordIn returns the password of a URL, whose host may change, or the whole of anything else.
func passwordIn(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.User == nil {
		return value
	}
	password, _ := u.User.Password()
	return password
}

func TestTwoInstallsHaveNoSecretInCommonAndNothingElseApart(t *testing.T) {
	t.Parallel()
	for name, values := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := rendered(t, install{values: values}), rendered(t, install{values: values})
			for secret, data := range secretData(one) {
				for key, value := range data {
					if again := secretData(other)[secret][key]; isPassword(key) && (again == value || len(value) < 24) {
						t.Errorf("%s/%s is not random: %d characters", secret, key, len(value))
					}
				}
			}
			blank(one)
			blank(other)
			before, after := texts(t, one), texts(t, other)
			for name := range maps.Keys(before) {
				if before[name] != after[name] {
					t.Errorf("%s differs: %s", name, difference(before[name], after[name]))
				}
			}
		})
	}
}

func isPassword(key string) bool {
	return key != "email" && key != "username" && key != "user"
}

// blank takes away what is random in Secrets, and the sums of it that make pods start again.
func blank(r *release) {
	for _, s := range all[*corev1.Secret](r) {
		s.Data, s.StringData = nil, nil
	}
	for _, w := range workloads(r) {
		for key := range w.template.Annotations {
			if key == "checksum/passwords" {
				w.template.Annotations[key] = ""
			}
		}
	}
}

func texts(t *testing.T, r *release) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, o := range r.objects {
		text, err := jsonOf(o)
		if err != nil {
			t.Fatal(err)
		}
		found[o.String()] = text
	}
	return found
}

// difference returns what two texts have between their common beginning and end.
func difference(a, b string) string {
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	to := 0
	for to < len(a)-from && to < len(b)-from && a[len(a)-1-to] == b[len(b)-1-to] {
		to++
	}
	around := a[max(0, from-60):from]
	return fmt.Sprintf("…%s[%s] is now [%s]", around, a[from:len(a)-to], b[from:len(b)-to])
}

// Losing the password of a role or the volume of a database loses what it protects: those objects outlive `helm uninstall`.
func TestWhatCannotBeMadeAgainIsKept(t *testing.T) {
	t.Parallel()
	for name, values := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range all[*corev1.Secret](rendered(t, install{values: values})) {
				if s.Labels["app.kubernetes.io/name"] == "postgres" && s.Annotations["helm.sh/resource-policy"] != "keep" {
					t.Errorf("Secret %s goes with the release, the volume stays", s.Name)
				}
			}
		})
	}
}
