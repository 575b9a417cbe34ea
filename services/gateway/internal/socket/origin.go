package socket

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// originAllowed reports whether the page that opens the socket may: it was served under the same host, or is one of the allowed.
// Browsers always say Origin, and pages cannot change it; a request without one is not from a page.
func originAllowed(r *http.Request, allowed []string) bool {
	said := r.Header.Values("Origin")
	if len(said) == 0 {
		return true
	}
	if len(said) > 1 {
		return false
	}
	if slices.Contains(allowed, said[0]) {
		return true
	}
	u, ok := parseOrigin(said[0])
	return ok && hostOf(u.Host, u.Scheme) == hostOf(r.Host, u.Scheme)
}

// IsOrigin reports whether text is an origin as browsers write it: "https://app.example".
func IsOrigin(text string) bool {
	_, ok := parseOrigin(text)
	return ok
}

func parseOrigin(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, false
	}
	return u, u.Scheme+"://"+u.Host == text
}

// hostOf is host in lower case without the port that scheme implies.
func hostOf(host, scheme string) string {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(strings.ToLower(host), port)
}
