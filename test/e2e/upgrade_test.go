//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAnUpgradeKeepsSecretsAndSessions(t *testing.T) {
	s := sharedStack(t)
	ann, bob := s.person(t, "Ann"), s.person(t, "Bob")
	before, err := s.secrets(t.Context())
	must(t, err)
	if len(before) == 0 {
		t.Fatal("there are no secrets")
	}
	must(t, s.upgrade("--wait", "--set", "global.imageTag="+nextTag(), "--set", "user.podAnnotations.story="+rand.Text(), "--set", "note.podAnnotations.story="+rand.Text()))
	after, err := s.secrets(t.Context())
	must(t, err)
	if !maps.EqualFunc(before, after, func(a, b map[string][]byte) bool {
		return maps.EqualFunc(a, b, func(x, y []byte) bool { return string(x) == string(y) })
	}) {
		t.Error("the upgrade has changed a secret") // its content is nobody's business
	}
	if _, err := ann.Create(t.Context(), "Still here", ""); err != nil {
		t.Errorf("a token from before the upgrade: %v", err)
	}
	must(t, ann.Refresh(t.Context()))
	s.requireLive(t, ann, bob)
}

// secrets of the stack, without those that Helm keeps its own records in.
func (s *stack) secrets(ctx context.Context) (map[string]map[string][]byte, error) {
	list, err := s.kube.CoreV1().Secrets(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all := map[string]map[string][]byte{}
	for _, one := range list.Items {
		if one.Type != corev1.SecretType("helm.sh/release.v1") {
			all[one.Name] = one.Data
		}
	}
	return all, nil
}
