package web

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strings"
)

// noncePlaceholder in index.html is replaced in each copy that is sent.
const noncePlaceholder = "__CSP_NONCE__"

// policy is what a page of ours may load. Styles need the nonce because the editor adds style elements while it runs. Images may come
// from anywhere by https, because a note may name them; the app loads none of another site without being asked to.
func policy(r *http.Request, nonce string) string {
	style, script := "'self'", "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
		script += " 'nonce-" + nonce + "'"
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + script,
		"style-src " + style,
		"img-src 'self' data: blob: https:",
		"font-src 'self'",
		"connect-src 'self'" + sockets(r.Host),
		"worker-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
	}, "; ")
}

// sockets are the sources for WebSockets to host: older browsers do not count them as 'self'.
func sockets(host string) string {
	for _, c := range []byte(host) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' {
			return "" // it could end the directive
		}
	}
	return " ws://" + host + " wss://" + host
}

// writePage sends html with a nonce of its own. It must not be stored with validators: a 304 would pair an old nonce with a new header.
func writePage(w http.ResponseWriter, r *http.Request, status int, html []byte) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", askMe)
	h.Set("Content-Security-Policy", policy(r, nonce))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(bytes.ReplaceAll(html, []byte(noncePlaceholder), []byte(nonce))) // a client that left is not our failure
	}
}
