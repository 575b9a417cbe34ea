package stack

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"noteworks.dev/operator/api/v1alpha1"
)

func ofSlug(slug string) *v1alpha1.NoteWorkspace {
	ws := &v1alpha1.NoteWorkspace{}
	ws.Name, ws.Namespace, ws.Spec.Slug = "any", "team", slug
	return ws
}

func TestAStackIsNamedAfterTheSlug(t *testing.T) {
	t.Parallel()
	for slug, want := range map[string]string{
		"acme":                  "acme-nw",
		"acme-user":             "acme-user-nw",
		"7th":                   "w7th-%s-nw",
		strings.Repeat("a", 38): strings.Repeat("a", 38) + "-nw",
		strings.Repeat("a", 39): strings.Repeat("a", 29) + "-%s-nw",
		strings.Repeat("a", 63): strings.Repeat("a", 29) + "-%s-nw",
	} {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(slug)))
		got := Name(ofSlug(slug))
		if want = strings.Replace(want, "%s", sum[:8], 1); got != want {
			t.Errorf("slug %s: stack %s, want %s", slug, got, want)
		}
		if faults := validation.IsDNS1035Label(got + "-postgres"); len(faults) > 0 || len(got+"-postgres") > 50 {
			t.Errorf("slug %s: %s-postgres names no service: %v", slug, got, faults)
		}
	}
	if Name(ofSlug(strings.Repeat("a", 62))) == Name(ofSlug(strings.Repeat("a", 63))) {
		t.Error("two long slugs have one stack")
	}
	unnamed := ofSlug("")
	unnamed.Name = "sales"
	if Name(unnamed) != "sales-nw" {
		t.Errorf("without a slug the stack is %s", Name(unnamed))
	}
}

// What the charts name after a stack never begins as the whole name of another stack's object.
func TestNoTwoStacksShareAnObject(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, slug := range []string{"a", "a-user", "a-postgres", "a-nw", "a-nw-user", "nw", "user", "postgres"} {
		ws := ofSlug(slug)
		for _, o := range mustRender(t, ws, Config{}) {
			if other, taken := seen[called(o)]; taken && other != slug {
				t.Errorf("%s is of slug %s and of slug %s", called(o), other, slug)
			}
			seen[called(o)] = slug
		}
	}
}

func TestAddressesAreThoseOfTheCharts(t *testing.T) {
	t.Parallel()
	ws := ofSlug("acme")
	services := map[string]bool{}
	for _, o := range mustRender(t, ws, Config{}) {
		services[called(o)] = true
	}
	gateway, port := GatewayService(ws)
	if !services["Service "+gateway] || port != 8080 {
		t.Errorf("there is no Service %s:%d", gateway, port)
	}
	if UserRPC(ws) != "http://acme-nw-user.team.svc:8082" || !services["Service acme-nw-user"] {
		t.Errorf("user's internal port is at %s", UserRPC(ws))
	}
}
