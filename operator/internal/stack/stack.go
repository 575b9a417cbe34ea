// Package stack gives a NoteWorkspace with isolation Dedicated a stack of its own: it renders the charts, applies what differs, takes away
// what is no longer rendered, and judges whether what is there lives. All that it has to remember stands in the cluster, in one ConfigMap
// for each stack, so that another replica of the operator carries on where one stopped.
// Imports Kubernetes, Helm's engine and the charts. Knows nothing of what a workspace holds.
package stack

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reasons of a State, as they stand in the condition StackReady.
const (
	Ready          = "StackReady"
	Progressing    = "Progressing"
	PodsFailing    = "PodsFailing"
	VolumesPending = "VolumesPending"
	Invalid        = "StackInvalid"
	SecretMissing  = "SecretMissing"
	Suspended      = "Suspended"
	Suspending     = "Suspending"
	Upgrading      = "Upgrading"
	UpgradeQueued  = "UpgradeQueued"
	UpgradeHeld    = "UpgradeHeld"
	SlugTaken      = "SlugTaken"
	Removing       = "StackRemoving"
	Removed        = "StackRemoved"
)

// FieldOwner is who applies: the manager of every field that a stack's objects are rendered with.
const FieldOwner = "noteworks-operator"

// Config is what the platform says about all dedicated stacks.
type Config struct {
	// Version of the platform. Stacks of another one are upgraded, in waves.
	Version string
	// Where the images come from; empty: what the charts say.
	ImageRegistry, ImageTag, PullPolicy string
	// Names of Secrets to pull images with, which have to be in the workspaces' namespaces.
	PullSecrets []string
	// What addresses of workspaces end with.
	BaseDomain string
	// Values of the chart noteworks, over everything else.
	Values map[string]any
	// Who may register workspaces with a stack: the operator's own service account.
	OperatorNamespace, OperatorServiceAccount string
	// How many stacks may be on their way to a new version at once; 1 if not set.
	UpgradeAtOnce int
	// How long a stack may take to be whole again before the others are held; 10 minutes if not set.
	UpgradeTimeout time.Duration
	// The clock; time.Now if not set.
	Now func() time.Time
}

// State is what there is of a stack.
type State struct {
	// Ready says that everything is as rendered and whole. Reason and Message say what is not, of the worst that is not, and what to do.
	Ready           bool
	Reason, Message string
	// Version is the last that the stack was whole with; empty before it first was.
	Version string
	// Changed says that something was written to the cluster.
	Changed bool
	// Gone says that nothing is left but what is to be kept.
	Gone bool
}

// Engine makes stacks and judges them. Its methods are safe for several goroutines, not for two with the same workspace.
type Engine struct {
	client   client.Client
	config   Config
	revision string
	charts   platform

	mu       sync.Mutex
	rendered map[client.ObjectKey]rendering
}

// New returns an engine that reads and writes through c, which must not answer for Secrets from a cache: they are read by name only.
// Answers for the other kinds may come from one, as long as it holds all that has the label Label, with its managedFields.
func New(c client.Client, config Config) (*Engine, error) {
	config.UpgradeAtOnce = max(1, config.UpgradeAtOnce)
	config.UpgradeTimeout = cmp.Or(config.UpgradeTimeout, 10*time.Minute)
	if config.Now == nil {
		config.Now = time.Now
	}
	charts, err := loadPlatform(config)
	if err != nil {
		return nil, fmt.Errorf("dedicated stacks: %w", err)
	}
	return &Engine{
		client: c, config: config, charts: charts, revision: charts.revision,
		rendered: map[client.ObjectKey]rendering{},
	}, nil
}

// Kinds returns an object of each kind that a stack consists of and that is worth watching; Secrets, which are not to be cached, and
// kinds of other operators are missing. The objects' controller is their NoteWorkspace, but for the ConfigMap that remembers (Parents).
func Kinds() []client.Object {
	return []client.Object{
		&appsv1.Deployment{}, &appsv1.StatefulSet{}, &autoscalingv2.HorizontalPodAutoscaler{},
		&corev1.ConfigMap{}, &corev1.Service{}, &corev1.ServiceAccount{},
		&networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{},
	}
}
