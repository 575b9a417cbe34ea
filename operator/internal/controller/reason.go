package controller

import "noteworks.dev/operator/internal/stack"

// The reasons of conditions. docs/operator.md says of each what to do.
const (
	// Ready: people can come in.
	ReasonReady = "Ready"
	// Suspended: spec.suspended is set; nobody comes in and nothing is lost.
	ReasonSuspended = stack.Suspended

	// SharedStack: the workspace lives in the platform's stack, which is not this object's to make.
	ReasonSharedStack = "SharedStack"
	// StackRefused: the API server refuses to make an object of the stack, by quota, rights or policy.
	ReasonStackRefused = "StackRefused"

	// Registered: the user service has the workspace as spec says.
	ReasonRegistered = "Registered"
	// WaitingForStack: the user service is still coming up.
	ReasonWaitingForStack = "WaitingForStack"
	// SlugTaken: another workspace has the slug, or one of another namespace had it and its data is kept.
	ReasonSlugTaken = stack.SlugTaken
	// HostTaken: another workspace has the host.
	ReasonHostTaken = "HostTaken"
	// InvalidSpec: the user service refuses a field, which the message names.
	ReasonInvalidSpec = "InvalidSpec"
	// OwnerSecretTaken: there is a Secret <name>-owner that was not made for this workspace's owner.
	ReasonOwnerSecretTaken = "OwnerSecretTaken"
	// OwnerSecretRefused: the API server refuses to make the Secret <name>-owner.
	ReasonOwnerSecretRefused = "OwnerSecretRefused"
	// PlatformUnavailable: the user service does not answer.
	ReasonPlatformUnavailable = "PlatformUnavailable"
	// PlatformNotFound: the user service's name leads nowhere, as when the platform is not installed.
	ReasonPlatformNotFound = "PlatformNotFound"
	// PlatformFailed: the user service answers with an error of its own.
	ReasonPlatformFailed = "PlatformFailed"
	// NotPermitted: the user service does not take the operator for the operator.
	ReasonNotPermitted = "NotPermitted"

	// RouteAccepted: the Gateway leads people to the workspace.
	ReasonRouteAccepted = "RouteAccepted"
	// RouteApplied: the Ingress is made; Ingress controllers do not tell whether they took it.
	ReasonRouteApplied = "RouteApplied"
	// RoutedByPlatform: the platform's own route leads to all slugs.
	ReasonRoutedByPlatform = "RoutedByPlatform"
	// RouteByHand: the operator is set to make no routes; somebody has to lead people to the stack's gateway.
	ReasonRouteByHand = "RouteByHand"
	// RoutePending: the Gateway has not said yet whether it takes the route.
	ReasonRoutePending = "RoutePending"
	// RouteNotAccepted: the Gateway does not take the route, for the reason in the message.
	ReasonRouteNotAccepted = "RouteNotAccepted"
	// RouteRefused: the API server refuses to make the route.
	ReasonRouteRefused = "RouteRefused"
	// WaitingForRegistration: a route is made for what is registered only, so that nobody leads another's host to himself.
	ReasonWaitingForRegistration = "WaitingForRegistration"

	// Deleting: what lives outside of the object is on its way out.
	ReasonDeleting = "Deleting"
	// DeletionBlocked: the deletion waits for what the message names.
	ReasonDeletionBlocked = "DeletionBlocked"
)

// The reasons of events beyond those of conditions.
const (
	// EventAdopted: the workspace took up what another of the same slug and namespace had left.
	EventAdopted = "Adopted"
	// EventRegisteredAgain: the user service had lost or changed the workspace.
	EventRegisteredAgain = "RegisteredAgain"
	// EventRouteRestored: somebody had changed or deleted the route.
	EventRouteRestored = "RouteRestored"
	// EventStackRestored: the stack was brought back to what it should be.
	EventStackRestored = "StackRestored"
	// EventDataKept: the object is gone and its data is kept; the message says how to get it back.
	EventDataKept = "DataKept"
	// EventDataDeleted: the object is gone with all its data.
	EventDataDeleted = "DataDeleted"
	// EventLeftBehind: the deletion's time box is over; the message says what is left and how to remove it.
	EventLeftBehind = "LeftBehind"
)
