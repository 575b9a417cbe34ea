package controller

// What the operator may do in the whole cluster: config/rbac/role.yaml and the chart's role are generated from here (`make generate`).
//
// Nothing is a wildcard. Secrets are read, written and deleted by name, which RBAC says by leaving list and watch away: whoever has the operator's
// token still has to know what a Secret is called. Of what a stack is made of only the kinds that the operator watches are listed.

// The workspaces themselves. Update of finalizers lets the operator own what it makes.
//
// +kubebuilder:rbac:groups=noteworks.dev,resources=noteworkspaces,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=noteworks.dev,resources=noteworkspaces/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=noteworks.dev,resources=noteworkspaces/finalizers,verbs=update

// What dedicated stacks are made of: applied, watched for drift and health, pruned.
//
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps;services;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete

// Passwords of stacks and of owners, and those that a spec names.
//
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;create;patch;delete

// Volumes grow by their claims, and go when the data is to go. A StatefulSet makes them.
//
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;update;patch;delete

// Pods say why a stack is not ready.
//
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch

// What is there only if other operators are: routes, monitoring, PostgreSQL.
//
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors;prometheusrules,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups=postgresql.cnpg.io,resources=clusters;databases,verbs=get;create;patch;delete

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// In the operator's own namespace: one replica leads, and asks for tokens of its own account only, one for each stack's user service.
//
// +kubebuilder:rbac:namespace=noteworks-operator,groups=coordination.k8s.io,resources=leases,verbs=create
// +kubebuilder:rbac:namespace=noteworks-operator,groups=coordination.k8s.io,resources=leases,resourceNames=noteworks-operator,verbs=get;update;patch
// +kubebuilder:rbac:namespace=noteworks-operator,groups="",resources=serviceaccounts/token,resourceNames=noteworks-operator,verbs=create
