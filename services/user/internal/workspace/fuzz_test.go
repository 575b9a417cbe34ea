package workspace

import (
	"strings"
	"testing"
)

// FuzzHost: a host leads to a slug below the base and nowhere else, and a host that a workspace takes is one name of the DNS, not the platform's own.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"acme.example.org:8080", "ACME.EXAMPLE.ORG.", "a.b.example.org", "example.org", "evilexample.org", "[::1]:80", ".example.org", "-.example.org", "acme.example.org:x:y", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		const base = "example.org"
		if slug, ok := SlugOfHost(host, base); ok && slug != DefaultSlug {
			if !label(string(slug)) || !strings.EqualFold(hostname(host), string(slug)+"."+base) {
				t.Fatalf("%q leads to %q", host, slug)
			}
		}
		if slug, err := ParseSlug(host); err == nil && (string(slug) != host || len(host) > 63 || strings.ToLower(host) != host || strings.ContainsAny(host, "./:@ ")) {
			t.Fatalf("%q is taken as a slug", host)
		}
		if taken, err := parseHost(host, base); err == nil && taken != "" {
			if _, own := SlugOfHost(taken, base); own || taken != host || hostname(taken) != taken {
				t.Fatalf("%q is taken as a host", host)
			}
		}
	})
}
