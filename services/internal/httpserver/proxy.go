package httpserver

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ClientIP is the address r came from: the connection's, unless that is a trusted proxy's. Then it is the last address in X-Forwarded-For
// that no trusted proxy added, so that what a client wrote in front of it counts for nothing. Nobody is trusted unless configured.
// The zero Addr means that it cannot be told.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := peer(r)
	if !within(addr, trusted) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr // whatever stands before a broken entry was not written by whom we trust
		}
		addr = hop.Unmap().WithZone("")
		if !within(addr, trusted) {
			return addr
		}
	}
	return addr
}

// Scheme is "https" when the request came over TLS, to us or to a trusted proxy that says so, and "http" otherwise.
func Scheme(r *http.Request, trusted []netip.Prefix) string {
	if r.TLS != nil {
		return "https"
	}
	said := r.Header.Values("X-Forwarded-Proto")
	if len(said) == 1 && strings.EqualFold(said[0], "https") && within(peer(r), trusted) {
		return "https"
	}
	return "http"
}

// FromTrusted reports whether r comes directly from a trusted proxy.
func FromTrusted(r *http.Request, trusted []netip.Prefix) bool { return within(peer(r), trusted) }

func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func within(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
