package edge

import (
	"net/http"

	"noteworks.dev/services/internal/httpserver"
)

// Untraced removes what a stranger may not put into our traces, before anything reads it: baggage at all, and tracestate, which other
// vendors' tools fill. The trace id itself is kept, see httpserver.PublicDoor.
func Untraced(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Baggage")
		r.Header.Del("Tracestate")
		h.ServeHTTP(w, r)
	})
}

// secure sets what holds for every answer. The content security policy is each handler's own.
func (d *Door) secure(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if httpserver.Scheme(r, d.Trusted) == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
