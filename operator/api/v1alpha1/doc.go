// Package v1alpha1 is the NoteWorkspace custom resource: what people write, what the operator answers, and the rules that the API server
// itself holds the first to. Imports Kubernetes' API machinery only.
//
// +kubebuilder:object:generate=true
// +groupName=noteworks.dev
package v1alpha1
