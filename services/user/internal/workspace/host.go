package workspace

import (
	"net"
	"strings"
)

// SlugOfHost is the slug that a request's Host names below base: "acme.example.org:8080" is acme. The base itself, localhost and the
// loopback addresses are the default workspace. It reports false for a host that is not ours.
func SlugOfHost(host, base string) (Slug, bool) {
	host = hostname(host)
	base = hostname(base)
	switch host {
	case "":
		return "", false
	case base, "localhost", "127.0.0.1", "::1":
		return DefaultSlug, true
	}
	s, ok := strings.CutSuffix(host, "."+base)
	if !ok || !label(s) {
		return "", false
	}
	return Slug(s), true
}

// hostname is host without port, brackets and the final dot, in lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
