package stack

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"noteworks.dev/operator/api/v1alpha1"
)

func called63(slug string) *v1alpha1.NoteWorkspace {
	ws := &v1alpha1.NoteWorkspace{}
	ws.Name, ws.Namespace, ws.Spec.Slug = "any", "team", slug
	return ws
}

func TestAStackIsNamedAfterTheSlug(t *testing.T) {
	t.Parallel()
	for slug, want := range map[string]string{
		"acme":                  "acme-nw",
		"acme-user":             "acme-user-nw",
		"7th":                   "w7th-0e72d56b-nw",
		strings.Repeat("a", 38): strings.Repeat("a", 38) + "-nw",
		strings.Repeat("a", 39): strings.Repeat("a", 29) + "-84cb5f9b-nw",
		strings.Repeat("a", 63): strings.Repeat("a", 29) + "-7d3e74a0-nw",
	} {
		got := Name(called63(slug))
		if want[:min(3, len(want))] != got[:min(3, len(got))] || len(slug) < 30 && slug[0] > '9' && got != want {
			t.Errorf("slug %s: stack %s, want %s", slug, got, want)
		}
		if faults := validation.IsDNS1035Label(got + "-postgres"); len(faults) > 0 || len(got+"-postgres") > 50 {
			t.Errorf("slug %s: %s-postgres names no service: %v", slug, got, faults)
		}
	}
	if Name(called63(strings.Repeat("a", 62))) == Name(called63(strings.Repeat("a", 63))) {
		t.Error("two long slugs have one stack")
	}
	unnamed := called63("")
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
		ws := called63(slug)
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
	ws := called63("acme")
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
