//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

func TestAWrongValueIsRefusedWithItsPathAndNothingIsInstalled(t *testing.T) {
	s := sharedStack(t)
	for value, says := range map[string]string{
		"gateway.replicas=many":        "gateway:\n- at '/replicas': got string, want integer",
		"note.replicas=-1":             "note:\n- at '/replicas': minimum",
		"note.replcas=2":               "note:\n- at '': additional properties 'replcas' not allowed",
		"global.imagePullPolicy=Often": "at '/global/imagePullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
		"user.database.urlKey=7":       "user:\n- at '/database/urlKey': got number, want string",
	} {
		t.Run(value, func(t *testing.T) {
			_, err := s.helm("install", "wrong", "charts/noteworks", "--set", value)
			if err == nil {
				_, _ = s.helm("uninstall", "wrong")
				t.Fatal("helm took it")
			}
			if !strings.Contains(err.Error(), says) {
				t.Errorf("helm does not say %q: %v", says, err)
			}
		})
	}
	out, err := s.helm("list", "--short")
	must(t, err)
	if strings.TrimSpace(out) != release {
		t.Errorf("the releases are %q", out)
	}
}
