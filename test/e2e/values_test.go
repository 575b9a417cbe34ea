//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

func TestAWrongValueIsRefusedWithItsPathAndNothingIsInstalled(t *testing.T) {
	s := sharedStack(t)
	for value, path := range map[string]string{
		"gateway.replicas=many":        "/gateway/replicas",
		"note.replicas=-1":             "/note/replicas",
		"note.replcas=2":               "replcas",
		"global.imagePullPolicy=Often": "/global/imagePullPolicy",
		"user.database.urlKey=7":       "/user/database/urlKey",
	} {
		t.Run(value, func(t *testing.T) {
			_, err := s.helm("install", "wrong", "charts/noteworks", "--set", value)
			if err == nil {
				_, _ = s.helm("uninstall", "wrong")
				t.Fatal("helm took it")
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("helm does not name %s: %v", path, err)
			}
			t.Log(err)
		})
	}
	out, err := s.helm("list", "--all", "--short")
	must(t, err)
	if strings.TrimSpace(out) != release {
		t.Errorf("the releases are %q", out)
	}
}
