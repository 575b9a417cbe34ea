package workspace

import (
	"net"
	"strings"

	"noteworks.dev/services/internal/errs"
)

const maxDomain = 253 // RFC 1035, in text and without the final dot

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

// parseHost takes one more complete host name of a workspace; empty is none. What stands below base is led to by slugs.
func parseHost(s, base string) (string, error) {
	base = hostname(base)
	switch {
	case s == "":
	case !complete(s):
		return "", errs.Invalid("invalid-host", "A host is a complete domain name in lower case, such as notes.example.org.").WithField("host")
	case base != "" && (s == base || strings.HasSuffix(s, "."+base)):
		return "", errs.Invalid("host-reserved", "%s and what stands below it are the platform's own. Use a slug, or a host of another domain.", base).WithField("host")
	}
	return s, nil
}

// complete reports whether s is a domain name of more than one label, and no address.
func complete(s string) bool {
	return domain(s) && strings.Contains(s, ".") && strings.ContainsFunc(s[strings.LastIndexByte(s, '.'):], func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// domain reports whether s is a domain name in lower case.
func domain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if !label(l) {
			return false
		}
	}
	return true
}
