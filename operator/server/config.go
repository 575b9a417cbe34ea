package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/caarlos0/env/v11"
	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"noteworks.dev/operator/internal/controller"
)

// Config is every setting of the operator, by its name in the environment. An empty one counts as not given.
type Config struct {
	// Who the operator is: tokens for user services are of its own service account, and the lease is in its namespace.
	Namespace      string `env:"OPERATOR_NAMESPACE,required" should:"the namespace that the operator runs in"`
	ServiceAccount string `env:"OPERATOR_SERVICE_ACCOUNT,required" should:"the name of the operator's service account"`

	// Where the platform is: the Helm release whose stack shared workspaces live in.
	PlatformRelease   string `env:"PLATFORM_RELEASE,required" should:"the name of the platform's Helm release, such as noteworks"`
	PlatformNamespace string `env:"PLATFORM_NAMESPACE,required" should:"the namespace of the platform's Helm release"`
	PlatformAudience  string `env:"PLATFORM_RPC_AUDIENCE" envDefault:"noteworks-user" should:"what the platform's user.rpc.audience says"`
	PlatformURL       string `env:"PLATFORM_RPC_URL" should:"the URL of the platform's user service, if not that of the release, such as http://noteworks-user.noteworks.svc:8082"`

	// How people reach workspaces.
	BaseDomain   string `env:"BASE_DOMAIN,required" should:"a domain such as notes.example.org"`
	PublicScheme string `env:"PUBLIC_SCHEME" envDefault:"https" should:"http or https"`
	PublicPort   int    `env:"PUBLIC_PORT" should:"a port, or nothing for the scheme's own"`

	RouteKind         string     `env:"ROUTE_KIND" envDefault:"none" should:"none, httproute or ingress"`
	RouteParentRefs   ParentRefs `env:"ROUTE_PARENT_REFS" should:"ParentReferences as JSON, such as [{\"name\":\"public\",\"namespace\":\"infra\"}]"`
	RouteIngressClass string     `env:"ROUTE_INGRESS_CLASS" should:"the name of an IngressClass"`
	RouteAnnotations  StringMap  `env:"ROUTE_ANNOTATIONS" should:"annotations as JSON, such as {\"example.org/timeout\":\"1h\"}"`
	RouteTLSSecret    string     `env:"ROUTE_TLS_SECRET" should:"the name of a TLS Secret beside the route"`

	// How dedicated stacks are made.
	ImageRegistry    string        `env:"IMAGE_REGISTRY" should:"a registry and path, such as registry.example.org/team"`
	ImageTag         string        `env:"IMAGE_TAG" should:"a tag"`
	ImagePullPolicy  string        `env:"IMAGE_PULL_POLICY" should:"Always, IfNotPresent or Never"`
	ImagePullSecrets []string      `env:"IMAGE_PULL_SECRETS" should:"names of Secrets, separated by commas"`
	StackValues      Values        `env:"STACK_VALUES" should:"values of the chart noteworks as YAML"`
	UpgradeAtOnce    int           `env:"UPGRADE_AT_ONCE" envDefault:"3" should:"a whole number, at least 1"`
	UpgradeTimeout   time.Duration `env:"UPGRADE_TIMEOUT" envDefault:"10m" should:"a duration above 0, such as 10m"`

	UsageInterval   time.Duration `env:"USAGE_INTERVAL" envDefault:"1m" should:"a duration of at least 1s, such as 1m"`
	Resync          time.Duration `env:"RESYNC" envDefault:"10h" should:"a duration of at least 1m, such as 10h"`
	Workers         int           `env:"WORKERS" envDefault:"8" should:"a whole number, at least 1"`
	DeletionTimeout time.Duration `env:"DELETION_TIMEOUT" envDefault:"10m" should:"a duration above 0, such as 10m"`

	MetricsAddr    string     `env:"METRICS_ADDR" envDefault:":8083" should:"an address such as :8083"`
	LeaderElection bool       `env:"LEADER_ELECTION" envDefault:"true" should:"true or false"`
	LogLevel       slog.Level `env:"LOG_LEVEL" envDefault:"INFO" should:"DEBUG, INFO, WARN or ERROR"`

	Tracing Tracing
}

// ParentRefs are the Gateways of routes, as JSON.
type ParentRefs []gatewayv1.ParentReference

// UnmarshalText is for package env.
func (p *ParentRefs) UnmarshalText(text []byte) error {
	var refs []gatewayv1.ParentReference
	if err := yaml.UnmarshalStrict(text, &refs); err != nil {
		return err
	}
	for _, ref := range refs {
		if ref.Name == "" {
			return errors.New("a parent without a name")
		}
	}
	*p = refs
	return nil
}

// StringMap is a JSON object of strings.
type StringMap map[string]string

// UnmarshalText is for package env.
func (m *StringMap) UnmarshalText(text []byte) error {
	return json.Unmarshal(text, (*map[string]string)(m))
}

// Values are a chart's, as YAML.
type Values map[string]any

// UnmarshalText is for package env.
func (v *Values) UnmarshalText(text []byte) error {
	return yaml.Unmarshal(text, (*map[string]any)(v))
}

// Load reads the settings from environ, which is as os.Environ's. The error names each that is wrong and what it should be, and no value.
func Load(environ []string) (Config, error) {
	given := env.ToMap(environ)
	maps.DeleteFunc(given, func(_, value string) bool { return value == "" })
	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: given})
	var several env.AggregateError
	if errors.As(err, &several) {
		return c, errors.Join(each(several.Errors, named)...)
	}
	if err != nil {
		return c, named(err)
	}
	return c, errors.Join(c.validate()...)
}

// validate is what types do not say.
func (c *Config) validate() []error {
	var all []error
	check := func(right bool, name string) {
		if !right {
			all = append(all, wrong(name, "has a value that cannot be used"))
		}
	}
	domain := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	check(domain.MatchString(c.BaseDomain), "BASE_DOMAIN")
	check(slices.Contains([]string{"http", "https"}, c.PublicScheme), "PUBLIC_SCHEME")
	check(c.PublicPort >= 0 && c.PublicPort <= 65535, "PUBLIC_PORT")
	check(slices.Contains([]string{controller.RouteNone, controller.RouteHTTP, controller.RouteIngress}, c.RouteKind), "ROUTE_KIND")
	policies := []string{"", string(corev1.PullAlways), string(corev1.PullIfNotPresent), string(corev1.PullNever)}
	check(slices.Contains(policies, c.ImagePullPolicy), "IMAGE_PULL_POLICY")
	check(c.UpgradeAtOnce >= 1, "UPGRADE_AT_ONCE")
	check(c.UpgradeTimeout > 0, "UPGRADE_TIMEOUT")
	check(c.UsageInterval >= time.Second, "USAGE_INTERVAL")
	check(c.Resync >= time.Minute, "RESYNC")
	check(c.Workers >= 1, "WORKERS")
	check(c.DeletionTimeout > 0, "DELETION_TIMEOUT")
	_, _, notAnAddress := net.SplitHostPort(c.MetricsAddr)
	check(notAnAddress == nil, "METRICS_ADDR")
	check(c.PlatformURL == "" || isURL(c.PlatformURL), "PLATFORM_RPC_URL")
	if c.RouteKind == controller.RouteHTTP && len(c.RouteParentRefs) == 0 {
		all = append(all, wrong("ROUTE_PARENT_REFS", "is not set, and ROUTE_KIND is httproute"))
	}
	return append(all, c.Tracing.validate()...)
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// wrong is an error that says what the setting called name should be.
func wrong(name, problem string) error {
	for _, t := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Tracing]()} {
		for f := range t.Fields() {
			if settingOf(f) == name {
				return fmt.Errorf("%s %s; it should be %s", name, problem, f.Tag.Get("should"))
			}
		}
	}
	return fmt.Errorf("%s %s", name, problem)
}

// named is an error of package env with the setting's name instead of the field's, and without its value.
func named(err error) error {
	var unset env.VarIsNotSetError
	if errors.As(err, &unset) {
		return wrong(unset.Key, "is not set")
	}
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	for _, t := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Tracing]()} {
		if f, found := t.FieldByName(parse.Name); found {
			return wrong(settingOf(f), "has a value that cannot be used")
		}
	}
	return fmt.Errorf("the setting of %s has a value that cannot be used", parse.Name)
}

func settingOf(f reflect.StructField) string {
	name := f.Tag.Get("env")
	for i, c := range name {
		if c == ',' {
			return name[:i]
		}
	}
	return name
}

func each(all []error, do func(error) error) []error {
	out := make([]error, len(all))
	for i, e := range all {
		out[i] = do(e)
	}
	return out
}
