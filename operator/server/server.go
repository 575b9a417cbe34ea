// Package server is the operator's composition root: its settings, how its parts are put together, and its run.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgo "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	controllermetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"noteworks.dev/charts"
	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/controller"
	"noteworks.dev/operator/internal/registry"
	"noteworks.dev/operator/internal/stack"
)

const (
	// leaseName is what replicas agree by on who leads; the operator's role names it.
	leaseName = "noteworks-operator"
	// grace is how long a stop may take: as long as the calls under way.
	grace = 8 * time.Second
	// userPort is the charts' internal port of the user service.
	userPort = 8082
)

// Main runs the operator with the settings of environ in the cluster that the pod, or KUBECONFIG, is of.
func Main(ctx context.Context, environ []string, logs io.Writer) error {
	cfg, err := Load(environ)
	if err != nil {
		return err
	}
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("the cluster: %w", err)
	}
	log := newLog(logs, cfg.LogLevel)
	ctrl.SetLogger(logr.FromSlogHandler(log.Handler()))
	klog.SetLogger(logr.FromSlogHandler(log.Handler()))
	s, err := New(ctx, cfg, cluster, log)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// Server is the operator.
type Server struct {
	manager manager.Manager
	stop    []func(context.Context) error
}

// New puts the operator together; it has not asked the cluster for anything but which kinds it knows.
func New(ctx context.Context, cfg Config, cluster *rest.Config, log *slog.Logger) (*Server, error) {
	tracers, err := cfg.Tracing.start(ctx, version(cfg))
	if err != nil {
		return nil, err
	}
	s := &Server{stop: []func(context.Context) error{tracers.Shutdown}}
	if s.manager, err = newManager(cfg, cluster, log); err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	api := s.manager.GetClient()
	stacks, err := newStacks(api, cfg)
	if err != nil {
		return nil, err
	}
	consistent, err := controller.ClientOf(s.manager)
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	account := types.NamespacedName{Namespace: cfg.Namespace, Name: cfg.ServiceAccount}
	transport := &http.Transport{MaxIdleConns: 4 * cfg.Workers, MaxIdleConnsPerHost: cfg.Workers, IdleConnTimeout: time.Minute}
	r := &controller.Reconciler{
		Client:   consistent,
		Registry: registry.NewClient(transport, registry.NewTokens(api, account, time.Now), tracers),
		Stacks:   stacks,
		Events:   s.manager.GetEventRecorder("noteworks-operator"),
		Tracer:   tracers.Tracer("noteworks.dev/operator"),
		Log:      log,
		Config:   cfg.controller(),
		Now:      time.Now,
	}
	if err := r.Setup(s.manager, cfg.Workers); err != nil {
		return nil, err
	}
	return s, s.manager.Add(operations(cfg.MetricsAddr, s.manager))
}

// Run serves until ctx ends, and then ends what is under way.
func (s *Server) Run(ctx context.Context) error {
	err := s.manager.Start(ctx)
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // losing the last spans is no reason to wait
	defer cancel()
	for _, stop := range s.stop {
		err = errors.Join(err, stop(flushing))
	}
	return err
}

func newManager(cfg Config, cluster *rest.Config, log *slog.Logger) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgo.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	cluster = rest.CopyConfig(cluster)
	cluster.QPS = -1 // the API server's priority and fairness is limit enough
	cluster.UserAgent = "noteworks-operator/" + version(cfg)
	patience := grace
	return ctrl.NewManager(cluster, manager.Options{
		Scheme:                        scheme,
		Logger:                        logr.FromSlogHandler(log.Handler()),
		Cache:                         controller.Cache(cfg.RouteKind, cfg.Resync),
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: controller.Uncached()}},
		LeaderElection:                cfg.LeaderElection,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       cfg.Namespace,
		LeaderElectionReleaseOnCancel: true, // nothing of ours runs once Start has returned
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:        "0",
		GracefulShutdownTimeout:       &patience,
	})
}

func newStacks(api client.Client, cfg Config) (*stack.Engine, error) {
	return stack.New(api, stack.Config{
		Version:       version(cfg),
		ImageRegistry: cfg.ImageRegistry, ImageTag: cfg.ImageTag, PullPolicy: cfg.ImagePullPolicy, PullSecrets: cfg.ImagePullSecrets,
		BaseDomain: cfg.BaseDomain, Values: cfg.StackValues,
		OperatorNamespace: cfg.Namespace, OperatorServiceAccount: cfg.ServiceAccount,
		UpgradeAtOnce: cfg.UpgradeAtOnce, UpgradeTimeout: cfg.UpgradeTimeout,
	})
}

// version is that of the platform: of the images, or of the charts in this program, which are released with it.
func version(cfg Config) string {
	if cfg.ImageTag != "" {
		return cfg.ImageTag
	}
	chart, err := charts.Load(charts.Umbrella)
	if err != nil {
		return "unknown" // rendering will say more
	}
	return chart.Metadata.AppVersion
}

func (c *Config) controller() controller.Config {
	url := c.PlatformURL
	if url == "" {
		url = fmt.Sprintf("http://%s-user.%s.svc:%d", c.PlatformRelease, c.PlatformNamespace, userPort)
	}
	return controller.Config{
		Platform:          registry.Stack{URL: url, Audience: c.PlatformAudience},
		PlatformNamespace: c.PlatformNamespace,
		PlatformGateway:   c.PlatformRelease + "-gateway",
		Operator:          c.Namespace + "/" + c.ServiceAccount,
		BaseDomain:        c.BaseDomain,
		Scheme:            c.PublicScheme,
		Port:              c.PublicPort,
		Route: controller.RouteConfig{
			Kind: c.RouteKind, ParentRefs: c.RouteParentRefs,
			IngressClass: c.RouteIngressClass, TLSSecret: c.RouteTLSSecret, Annotations: c.RouteAnnotations,
		},
		UsageInterval:   c.UsageInterval,
		DeletionTimeout: c.DeletionTimeout,
	}
}

// operations serves metrics and health on a port of its own, whoever leads.
func operations(addr string, mgr manager.Manager) *manager.Server {
	own := prometheus.NewRegistry()
	own.MustRegister(controller.NewMetrics(mgr.GetCache()))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{controllermetrics.Registry, own}, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			http.Error(w, "the cache is not filled yet", http.StatusServiceUnavailable)
		}
	})
	const headersWithin = 5 * time.Second
	patience := time.Second
	return &manager.Server{
		Name: "operations", ShutdownTimeout: &patience,
		Server: &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: headersWithin},
	}
}
