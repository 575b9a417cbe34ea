package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	apijson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"noteworks.dev/charts"
	"noteworks.dev/operator/api/v1alpha1"
)

type values = map[string]any

// A platform is what all dedicated stacks have in common.
type platform struct {
	profiles map[v1alpha1.Profile]values
	under    values // what the workspace's own values go over
	over     values // what goes over the workspace's own
	// The version, and a digest of the charts and of the values above: stacks of another revision are upgraded.
	revision string
}

func loadPlatform(c Config) (platform, error) {
	p := platform{profiles: map[v1alpha1.Profile]values{}, under: platformValues(c)}
	for _, profile := range []v1alpha1.Profile{v1alpha1.ProfileDev, v1alpha1.ProfileSmall, v1alpha1.ProfileHA} {
		text, err := fs.ReadFile(charts.FS(), charts.Umbrella+"/values-"+string(profile)+".yaml")
		if err != nil {
			return platform{}, err
		}
		if p.profiles[profile], err = parse(text); err != nil {
			return platform{}, fmt.Errorf("profile %s: %w", profile, err)
		}
	}
	over, err := json.Marshal(c.Values)
	if err != nil {
		return platform{}, fmt.Errorf("values of the platform: %w", err)
	}
	if p.over, err = parse(over); err != nil {
		return platform{}, fmt.Errorf("values of the platform: %w", err)
	}
	under, err := json.Marshal(p.under)
	if err != nil {
		return platform{}, fmt.Errorf("settings of the platform: %w", err)
	}
	files, err := chartFiles()
	if err != nil {
		return platform{}, err
	}
	p.revision = c.Version + "-" + digest(under, over, files)[:digestLength]
	return p, nil
}

// parse reads YAML or JSON; whole numbers stay whole.
func parse(text []byte) (values, error) {
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	var of values
	err = apijson.Unmarshal(asJSON, &of)
	return of, err
}

// versionOf returns the version in a revision.
func versionOf(revision string) string {
	return revision[:max(0, strings.LastIndexByte(revision, '-'))]
}

// chartFiles returns the names and contents of the charts, one after the other.
func chartFiles() ([]byte, error) {
	var all []byte
	err := fs.WalkDir(charts.FS(), charts.Umbrella, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(charts.FS(), path)
		all = append(append(all, path...), text...)
		return err
	})
	return all, err
}

// platformValues is what the platform says, and what a stack that an operator looks after is always like: it registers workspaces and
// routes to them itself, and has no Jaeger of its own.
func platformValues(c Config) values {
	global := values{"tracing": values{"enabled": hasEndpoint(c.Values)}}
	for key, value := range map[string]string{
		"imageRegistry": c.ImageRegistry, "imageTag": c.ImageTag, "imagePullPolicy": c.PullPolicy, "baseDomain": c.BaseDomain,
	} {
		if value != "" {
			global[key] = value
		}
	}
	if len(c.PullSecrets) > 0 {
		var names []any
		for _, name := range c.PullSecrets {
			names = append(names, values{"name": name})
		}
		global["imagePullSecrets"] = names
	}
	user := values{"workspaces": []any{}}
	if c.OperatorNamespace != "" {
		user["rpc"] = values{"callers": values{"operator": c.OperatorNamespace + "/" + c.OperatorServiceAccount}}
		user["networkPolicy"] = values{"rpcFrom": []any{values{
			"namespaceSelector": values{"matchLabels": values{corev1.LabelMetadataName: c.OperatorNamespace}},
			"podSelector":       values{"matchLabels": values{"app.kubernetes.io/name": "noteworks-operator"}},
		}}}
	}
	return values{
		"global":  global,
		"user":    user,
		"gateway": values{"route": values{"enabled": false}, "ingress": values{"enabled": false}},
		"jaeger":  values{"enabled": false},
	}
}

// hasEndpoint says whether the platform's values name a collector of spans.
func hasEndpoint(of values) bool {
	global, _ := of["global"].(values)
	tracing, _ := global["tracing"].(values)
	endpoint, _ := tracing["endpoint"].(string)
	return endpoint != ""
}

// values returns what the charts are rendered with for ws. external are the Secrets that its spec names.
func (p platform) values(ws *v1alpha1.NoteWorkspace, external map[string]*corev1.Secret) values {
	spec := dedicated(ws)
	merged := values{}
	for _, layer := range []values{
		p.profiles[spec.Profile], p.under, audiences(ws), resources(spec.Resources), storage(spec.Storage),
		externalPostgres(spec.Postgres, external), externalNATS(spec.NATS, external), p.over,
	} {
		overlay(merged, layer)
	}
	return merged
}

// dedicated is spec.dedicated, or what its absence means.
func dedicated(ws *v1alpha1.NoteWorkspace) v1alpha1.Dedicated {
	var spec v1alpha1.Dedicated
	if ws.Spec.Dedicated != nil {
		spec = *ws.Spec.Dedicated
	}
	if spec.Profile == "" {
		spec.Profile = v1alpha1.ProfileSmall
	}
	return spec
}

// audiences are of this stack alone: a token that was shown to one stack opens no other.
func audiences(ws *v1alpha1.NoteWorkspace) values {
	user, note := Audience(ws), "note."+Audience(ws)
	return values{
		"user": values{"rpc": values{"audience": user}, "note": values{"audience": note}},
		"note": values{"rpc": values{"audience": note}, "user": values{"audience": user}},
	}
}

func resources(r v1alpha1.ServiceResources) values {
	found := values{}
	for service, of := range map[string]*v1alpha1.Resources{"user": r.User, "note": r.Note, "gateway": r.Gateway} {
		if of != nil {
			found[service] = values{"resources": values{"requests": quantities(of.Requests), "limits": quantities(of.Limits)}}
		}
	}
	return found
}

func quantities(of corev1.ResourceList) values {
	found := values{}
	for name, quantity := range of {
		found[string(name)] = quantity.String()
	}
	return found
}

func storage(s v1alpha1.Storage) values {
	found := values{}
	for chart, size := range map[string]*resource.Quantity{"postgres": s.Postgres, "nats": s.NATS} {
		persistence := values{}
		if size != nil {
			persistence["size"] = size.String()
		}
		if s.ClassName != nil {
			persistence["storageClass"] = *s.ClassName
		}
		if len(persistence) > 0 {
			found[chart] = values{"persistence": persistence}
		}
	}
	return found
}

func externalPostgres(p *v1alpha1.ExternalPostgres, external map[string]*corev1.Secret) values {
	if p == nil {
		return nil
	}
	found := values{"postgres": values{"enabled": false}}
	for _, service := range []string{"user", "note"} {
		database := values{
			"existingSecret": p.SecretRef.Name, "urlKey": service + "-url", "migrateUrlKey": service + "-migrate-url",
		}
		// The service reads its URLs when it starts: pods start anew when they change.
		serving, migrating := valueOf(external, p.SecretRef, service+"-url"), valueOf(external, p.SecretRef, service+"-migrate-url")
		if port := portOf(string(serving)); port != 0 {
			database["port"] = port
		}
		found[service] = values{"database": database, "podAnnotations": values{"checksum/database": digest(serving, migrating)}}
	}
	return found
}

// portOf returns the port of a URL, or 0 when it says none.
func portOf(text string) int64 {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	return int64(port)
}

func externalNATS(n *v1alpha1.ExternalNATS, external map[string]*corev1.Secret) values {
	if n == nil {
		return nil
	}
	found := values{"nats": values{"enabled": false}, "global": values{"nats": values{"url": n.URL}}}
	for _, service := range []string{"user", "note", "gateway"} {
		found[service] = values{
			"nats":           values{"existingSecret": n.SecretRef.Name, "passwordKey": service},
			"podAnnotations": values{"checksum/nats": digest(valueOf(external, n.SecretRef, service))},
		}
	}
	return found
}

func valueOf(external map[string]*corev1.Secret, ref v1alpha1.SecretReference, key string) []byte {
	if secret := external[ref.Name]; secret != nil {
		return secret.Data[key]
	}
	return nil
}

// A need is a Secret that the spec names, and the keys it has to have.
type need struct {
	field, secret string
	keys          []string
}

func needs(ws *v1alpha1.NoteWorkspace) []need {
	var found []need
	spec := dedicated(ws)
	if p := spec.Postgres; p != nil {
		keys := []string{"user-url", "user-migrate-url", "note-url", "note-migrate-url"}
		found = append(found, need{"spec.dedicated.postgres.secretRef", p.SecretRef.Name, keys})
	}
	if n := spec.NATS; n != nil {
		found = append(found, need{"spec.dedicated.nats.secretRef", n.SecretRef.Name, []string{"user", "note", "gateway"}})
	}
	return found
}

// missing says what the Secret lacks and what to do, or nothing.
func (n need) missing(secret *corev1.Secret, namespace string) string {
	if secret == nil {
		return fmt.Sprintf("%s: there is no Secret %s in namespace %s: make it, with the keys %s",
			n.field, n.secret, namespace, strings.Join(n.keys, ", "))
	}
	var lacks []string
	for _, key := range n.keys {
		if len(secret.Data[key]) == 0 {
			lacks = append(lacks, key)
		}
	}
	if len(lacks) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: Secret %s lacks the keys %s: add them", n.field, n.secret, strings.Join(lacks, ", "))
}

// overlay writes top over under, map by map.
func overlay(under, top values) {
	for key, value := range top {
		inner, isMap := value.(values)
		have, hasMap := under[key].(values)
		switch {
		case isMap && hasMap:
			overlay(have, inner)
		case isMap:
			under[key] = runtime.DeepCopyJSON(inner)
		default:
			under[key] = runtime.DeepCopyJSONValue(value)
		}
	}
}

// digest of several texts, each of which is told from its neighbours.
func digest(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(sum, "%d:", len(part)) // a hash takes everything
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
