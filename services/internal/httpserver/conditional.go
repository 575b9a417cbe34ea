package httpserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// maxBuffered is the longest answer that ConditionalGET keeps back to look at; a longer one streams through untouched.
const maxBuffered = 4 << 20

// ConditionalGET gives successful GET answers that have no ETag a weak one of their content, answers 304 when the caller has that already, and
// marks answers that say nothing of caching as "private, no-cache": kept by the browser, asked for again each time. It costs
// a buffer per answer, so it is for JSON, not for files. Answers with an ETag of their own are compared, too.
func ConditionalGET(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != "" {
			h.ServeHTTP(w, r)
			return
		}
		b := &buffered{w: w, r: r, status: http.StatusOK}
		h.ServeHTTP(b, r)
		b.finish()
	})
}

type buffered struct {
	w         http.ResponseWriter
	r         *http.Request
	body      bytes.Buffer
	status    int
	decided   bool // WriteHeader was called
	streaming bool // too long or flushed: everything goes through
}

func (b *buffered) Header() http.Header { return b.w.Header() }

func (b *buffered) WriteHeader(status int) {
	if status < http.StatusOK {
		b.w.WriteHeader(status) // 1xx announces, it does not answer
		return
	}
	if !b.decided {
		b.status, b.decided = status, true
	}
}

func (b *buffered) Write(p []byte) (int, error) {
	b.decided = true
	if !b.streaming && b.body.Len()+len(p) > maxBuffered {
		b.stream()
	}
	if b.streaming {
		return b.w.Write(p)
	}
	return b.body.Write(p)
}

// Flush means that the handler streams: nothing is kept back from then on.
func (b *buffered) Flush() {
	b.stream()
	if f, ok := b.w.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (b *buffered) Unwrap() http.ResponseWriter { return b.w }

func (b *buffered) stream() {
	if b.streaming {
		return
	}
	b.streaming = true
	b.private()
	b.w.WriteHeader(b.status)
	_, _ = b.w.Write(b.body.Bytes()) // the handler's next Write reports a client that left
	b.body = bytes.Buffer{}
}

func (b *buffered) private() {
	if b.status < http.StatusBadRequest && b.Header().Get("Cache-Control") == "" {
		b.Header().Set("Cache-Control", "private, no-cache")
	}
}

func (b *buffered) finish() {
	if b.streaming {
		return
	}
	b.private()
	if b.status == http.StatusOK && b.unchanged() {
		b.Header().Del("Content-Length")
		b.Header().Del("Content-Type")
		b.w.WriteHeader(http.StatusNotModified)
		return
	}
	b.w.WriteHeader(b.status)
	_, _ = b.w.Write(b.body.Bytes()) // a client that left is not our failure
}

// unchanged sets the ETag when there is none and reports whether the caller named it.
func (b *buffered) unchanged() bool {
	tag := b.Header().Get("ETag")
	if tag == "" {
		if b.r.Method == http.MethodHead && b.body.Len() == 0 {
			return false // there is no content to make one of
		}
		tag = weakTag(b.body.Bytes())
		b.Header().Set("ETag", tag)
	}
	return matches(strings.Join(b.r.Header.Values("If-None-Match"), ","), tag)
}

func weakTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

// matches is RFC 9110's weak comparison. Our tags hold no comma, so a list can be cut at each.
func matches(header, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}
