package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is what objects of this package say in apiVersion.
//
//nolint:gochecknoglobals // a constant, had Go constant structs
var GroupVersion = schema.GroupVersion{Group: "noteworks.dev", Version: "v1alpha1"}

// AddToScheme makes the package's types known to s.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &NoteWorkspace{}, &NoteWorkspaceList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
