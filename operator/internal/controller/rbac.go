package controller

// What the operator may do: config/rbac/role.yaml and the roles of its chart are generated from here (`make generate`).
//
// Nothing is a wildcard, and nothing here is for later. Secrets are read, written and deleted by name, which RBAC says by leaving list and watch
// away: whoever has the operator's token still has to know what a Secret is called.

// The workspaces. Update of finalizers lets the operator own what it makes.
//
// +kubebuilder:rbac:groups=noteworks.dev,resources=noteworkspaces,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=noteworks.dev,resources=noteworkspaces/status,verbs=patch
// +kubebuilder:rbac:groups=noteworks.dev,resources=noteworkspaces/finalizers,verbs=update

// What dedicated stacks are made of: applied (which creates and patches), watched for drift and health, pruned. One ConfigMap for each stack
// remembers it.
//
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete

// Passwords of stacks and of owners, and those that a spec names.
//
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;patch;delete

// Volumes are claimed by StatefulSets; they grow, and go when the data is to go. Pods say why a stack is not ready, a namespace that it ends.
//
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// One kind of these for the routes of workspaces.
//
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete

// What a stack has only if other operators are there.
//
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors;prometheusrules,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups=postgresql.cnpg.io,resources=clusters;databases,verbs=get;create;patch;delete

// What there is to tell.
//
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch

// In the operator's own namespace: one replica leads, and asks for tokens of its own account only, one for each stack's user service.
//
// +kubebuilder:rbac:namespace=noteworks,groups=coordination.k8s.io,resources=leases,verbs=create
// +kubebuilder:rbac:namespace=noteworks,groups=coordination.k8s.io,resources=leases,resourceNames=noteworks-operator,verbs=get;update
// +kubebuilder:rbac:namespace=noteworks,groups="",resources=serviceaccounts/token,resourceNames=noteworks-operator,verbs=create
