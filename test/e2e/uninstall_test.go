//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

func TestUninstallLeavesOnlyWhatIsDocumentedAndAnInstallationFindsItAgain(t *testing.T) {
	s := ownStack(t)
	eventually(t, 30*time.Second, "the namespace is furnished", func(ctx context.Context) error {
		have, err := s.objects(ctx)
		if err == nil && !slices.Contains(have, "configmaps/kube-root-ca.crt") {
			err = errors.New("its certificate authority is missing")
		}
		return err
	})
	before, err := s.objects(t.Context())
	must(t, err)
	must(t, s.install("--wait"))
	ann := s.person(t, "Ann")
	note, err := ann.Create(t.Context(), "Kept", "kept")
	must(t, err)

	_, err = s.helm("uninstall", release, "--wait")
	must(t, err)
	s.requireLeft(t, before, keptObjects())

	must(t, s.install("--wait"))
	eventually(t, 30*time.Second, "Ann finds her note again", func(ctx context.Context) error {
		if err := ann.Login(ctx, ann.User().Email, password); err != nil {
			return err
		}
		got, err := ann.Note(ctx, note.ID)
		if err == nil && got.Body != "kept" {
			err = fmt.Errorf("the note is %q", got.Body)
		}
		return err
	})

	_, err = s.helm("uninstall", release, "--wait")
	must(t, err)
	mine := metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release}
	must(t, s.kube.CoreV1().PersistentVolumeClaims(s.namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine))
	must(t, s.kube.CoreV1().Secrets(s.namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, mine))
	s.requireLeft(t, before, nil)
}

// keptObjects is what an uninstallation leaves: the section "Uninstall" of docs/kubernetes.md.
func keptObjects() []string {
	return []string{
		"persistentvolumeclaims/data-noteworks-nats-0",
		"persistentvolumeclaims/data-noteworks-postgres-0",
		"secrets/noteworks-owner-default",
		"secrets/noteworks-postgres",
		"secrets/noteworks-postgres-note",
		"secrets/noteworks-postgres-user",
	}
}

// requireLeft waits until there is nothing in the namespace but what was before and what is kept, and all of that.
func (s *stack) requireLeft(t *testing.T, before, kept []string) {
	t.Helper()
	eventually(t, time.Minute, "only what is documented is left", func(ctx context.Context) error {
		after, err := s.objects(ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(after, func(o string) bool { return slices.Contains(before, o) })
		if !slices.Equal(left, kept) {
			return fmt.Errorf("left is %q, documented %q", left, kept)
		}
		return nil
	})
}

// objects are all objects of the namespace of every kind that the cluster knows, as "secrets/name". What the cluster writes by itself about
// others, events and the endpoints of services, goes with time or with its owner.
func (s *stack) objects(ctx context.Context) ([]string, error) {
	lists, err := discovery.ServerPreferredNamespacedResources(s.kube.Discovery())
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(s.config)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists) {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, kind := range list.APIResources {
			if slices.Contains([]string{"events", "endpoints", "endpointslices"}, kind.Name) {
				continue
			}
			have, err := client.Resource(group.WithResource(kind.Name)).Namespace(s.namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", kind.Name, err)
			}
			for _, o := range have.Items {
				all = append(all, kind.Name+"/"+o.Name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
