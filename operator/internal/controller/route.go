package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/stack"
)

// The kinds of routes.
const (
	RouteNone    = "none"
	RouteHTTP    = "httproute"
	RouteIngress = "ingress"
)

// RouteConfig is how people are led to workspaces.
type RouteConfig struct {
	// Kind is RouteNone, RouteHTTP or RouteIngress.
	Kind string
	// ParentRefs are the Gateways of HTTPRoutes.
	ParentRefs []gatewayv1.ParentReference
	// IngressClass and TLSSecret are for Ingresses; empty is the cluster's default and no TLS.
	IngressClass string
	TLSSecret    string
	Annotations  map[string]string
}

const (
	// gatewayPort is the charts' port of the gateway's Service.
	gatewayPort = 8080
	// fieldOwner is who applies routes.
	fieldOwner = "noteworks-operator"
	// What a route in the platform's namespace belongs to: there are no owner references across namespaces.
	labelNamespace = "noteworks.dev/workspace-namespace"
	labelName      = "noteworks.dev/workspace-name"
)

// route leads people to the workspace's hosts.
func (r *Reconciler) route(ctx context.Context, w *work) error {
	switch {
	case !w.registered.is():
		if w.routed.status == "" {
			w.routed = w.no(ReasonWaitingForRegistration, "the route is made once the workspace is registered")
		}
		return nil
	case r.Config.Route.Kind == RouteNone:
		w.routed = r.unrouted(w)
		return nil
	}
	want, have := r.routeOf(w), emptyRoute(r.Config.Route.Kind)
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(want), have)
	if client.IgnoreNotFound(err) != nil && !refusal(err) {
		return wrap("read the route", err)
	}
	if err == nil {
		err = r.repair(ctx, w, want, have)
	} else if apierrors.IsNotFound(err) {
		err = r.applyRoute(w.changing(ctx), w, want, have)
	}
	if refusal(err) {
		w.routed = w.no(ReasonRouteRefused, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	w.routed = r.accepted(w, have)
	return nil
}

func (r *Reconciler) unrouted(w *work) verdict {
	if !w.dedicated() && w.ws.Spec.Host == "" {
		return w.yes(ReasonRoutedByPlatform, "the platform's route leads to all slugs below "+r.Config.BaseDomain)
	}
	service, namespace, port := r.backend(w)
	return w.yes(ReasonRouteByHand, fmt.Sprintf(
		"the operator makes no routes (ROUTE_KIND is none): lead %s to port %d of Service %s in namespace %s", strings.Join(r.hosts(w.ws), " and "), port, service, namespace))
}

// repair applies the route again if it is not as it should be; what others have added to it stays.
func (r *Reconciler) repair(ctx context.Context, w *work, want, have client.Object) error {
	wanted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return wrap("route", err)
	}
	there, err := runtime.DefaultUnstructuredConverter.ToUnstructured(have)
	if err != nil {
		return wrap("route", err)
	}
	unsay(wanted)
	if covers(there, wanted) {
		return nil
	}
	drifted := w.routed.generation == w.ws.Generation && w.routed.is()
	if err := r.applyRoute(w.changing(ctx), w, want, have); err != nil {
		return err
	}
	if drifted {
		r.event(w, corev1.EventTypeNormal, EventRouteRestored, "Somebody had changed the route: it is as it should be again.")
	}
	return nil
}

func (r *Reconciler) applyRoute(ctx context.Context, w *work, want, have client.Object) error {
	gvk, err := apiutil.GVKForObject(want, r.Client.Scheme())
	if err != nil {
		return wrap("route", err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return wrap("route", err)
	}
	unsay(content)
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	err = r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(fieldOwner), client.ForceOwnership)
	if err != nil {
		return wrap("apply the route", err)
	}
	r.Log.InfoContext(ctx, "route applied", logged(w), slog.String("route", want.GetName()))
	return wrap("route", runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, have))
}

// unsay takes away what Go writes down although nobody has said it.
func unsay(object map[string]any) {
	delete(object, "status")
	delete(object, "apiVersion")
	delete(object, "kind")
	unstructured.RemoveNestedField(object, "metadata", "creationTimestamp")
}

// covers reports whether have says what want says, whatever else it says. Lists are the same or not.
func covers(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		for k, v := range want {
			ok = ok && covers(have[k], v)
		}
		return ok
	case []any:
		have, ok := have.([]any)
		ok = ok && len(have) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = covers(have[i], want[i])
		}
		return ok
	}
	return have == want
}

// accepted is what the route's status says of it.
func (r *Reconciler) accepted(w *work, have client.Object) verdict {
	route, ok := have.(*gatewayv1.HTTPRoute)
	if !ok {
		return w.yes(ReasonRouteApplied, "the Ingress "+have.GetNamespace()+"/"+have.GetName()+" leads to the workspace")
	}
	name := "HTTPRoute " + route.Namespace + "/" + route.Name
	for _, parent := range route.Status.Parents {
		for _, kind := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
			c := meta.FindStatusCondition(parent.Conditions, string(kind))
			if c == nil || c.ObservedGeneration < route.Generation {
				return w.unknown(ReasonRoutePending, fmt.Sprintf("%s waits for the Gateway %s", name, parent.ParentRef.Name))
			}
			if c.Status != metav1.ConditionTrue {
				return w.no(ReasonRouteNotAccepted, fmt.Sprintf("the Gateway %s does not take %s: %s: %s", parent.ParentRef.Name, name, c.Reason, c.Message))
			}
		}
	}
	if len(route.Status.Parents) < len(route.Spec.ParentRefs) {
		return w.unknown(ReasonRoutePending, name+" waits for its Gateway: is there one as ROUTE_PARENT_REFS says, and a controller for it?")
	}
	return w.yes(ReasonRouteAccepted, name+" leads to the workspace")
}

func emptyRoute(kind string) client.Object {
	if kind == RouteIngress {
		return &networkingv1.Ingress{}
	}
	return &gatewayv1.HTTPRoute{}
}

// routeOf is the route as it should be. It stands beside the gateway that it leads to.
func (r *Reconciler) routeOf(w *work) client.Object {
	service, namespace, port := r.backend(w)
	about := metav1.ObjectMeta{
		Namespace: namespace, Name: w.ws.SlugOrName() + "-" + string(w.ws.UID),
		Labels:      map[string]string{labelManagedBy: managedBy, labelNamespace: w.ws.Namespace, labelName: w.ws.Name},
		Annotations: r.Config.Route.Annotations,
	}
	var route client.Object = &gatewayv1.HTTPRoute{ObjectMeta: about, Spec: r.httpRoute(w.ws, service, port)}
	if r.Config.Route.Kind == RouteIngress {
		route = &networkingv1.Ingress{ObjectMeta: about, Spec: r.ingress(w.ws, service, port)}
	}
	if w.dedicated() {
		// Of one namespace, and the scheme knows both: it cannot fail.
		_ = controllerutil.SetControllerReference(w.ws, route, r.Client.Scheme())
	}
	return route
}

func (r *Reconciler) httpRoute(ws *v1alpha1.NoteWorkspace, service string, port int32) gatewayv1.HTTPRouteSpec {
	spec := gatewayv1.HTTPRouteSpec{CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: r.Config.Route.ParentRefs}}
	for _, h := range r.hosts(ws) {
		spec.Hostnames = append(spec.Hostnames, gatewayv1.Hostname(h))
	}
	backend := gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{
		BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(service), Port: &port},
	}}
	path := func(kind gatewayv1.PathMatchType, value string) []gatewayv1.HTTPRouteMatch {
		return []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &value}}}
	}
	never := gatewayv1.Duration("0s")
	spec.Rules = []gatewayv1.HTTPRouteRule{
		// The live socket stays open for as long as the browser is: no timeout.
		{
			Matches:     path(gatewayv1.PathMatchExact, "/api/v1/live"),
			Timeouts:    &gatewayv1.HTTPRouteTimeouts{Request: &never},
			BackendRefs: []gatewayv1.HTTPBackendRef{backend},
		},
		{Matches: path(gatewayv1.PathMatchPathPrefix, "/"), BackendRefs: []gatewayv1.HTTPBackendRef{backend}},
	}
	return spec
}

func (r *Reconciler) ingress(ws *v1alpha1.NoteWorkspace, service string, port int32) networkingv1.IngressSpec {
	spec := networkingv1.IngressSpec{}
	if c := r.Config.Route.IngressClass; c != "" {
		spec.IngressClassName = &c
	}
	prefix := networkingv1.PathTypePrefix
	for _, h := range r.hosts(ws) {
		spec.Rules = append(spec.Rules, networkingv1.IngressRule{Host: h, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{
				Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Number: port}},
			}}},
		}}})
	}
	if s := r.Config.Route.TLSSecret; s != "" {
		spec.TLS = []networkingv1.IngressTLS{{Hosts: r.hosts(ws), SecretName: s}}
	}
	return spec
}

// backend is the Service that takes people's requests.
func (r *Reconciler) backend(w *work) (service, namespace string, port int32) {
	if w.dedicated() {
		service, port = stack.GatewayService(w.ws)
		return service, w.ws.Namespace, port
	}
	return r.Config.PlatformGateway, r.Config.PlatformNamespace, gatewayPort
}

// removeRoute takes the route away, if there is one.
func (r *Reconciler) removeRoute(ctx context.Context, w *work) error {
	if r.Config.Route.Kind == RouteNone {
		return nil
	}
	route, have := r.routeOf(w), emptyRoute(r.Config.Route.Kind)
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(route), have)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return wrap("read the route", err)
	}
	return wrap("delete the route", client.IgnoreNotFound(r.Client.Delete(w.changing(ctx), have)))
}

// hosts is every name that leads to the workspace.
func (r *Reconciler) hosts(ws *v1alpha1.NoteWorkspace) []string {
	all := []string{ws.SlugOrName() + "." + r.Config.BaseDomain}
	if ws.Spec.Host != "" {
		all = append(all, ws.Spec.Host)
	}
	return all
}

// url is where people go: below the platform's domain, whose DNS is in order, and not at spec.host, whose DNS is up to others.
func (r *Reconciler) url(w *work) string {
	host := r.hosts(w.ws)[0]
	if r.Config.Port != 0 {
		host = net.JoinHostPort(host, strconv.Itoa(r.Config.Port))
	}
	return r.Config.Scheme + "://" + host
}
