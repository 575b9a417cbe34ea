package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkProxy is a request with a token through the whole gateway; BenchmarkProxyBare is the same request to the stand-in itself.
func BenchmarkProxy(b *testing.B) {
	w := startWorld(b)
	w.note.handle("/api/v1/notes", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "answered") })
	ann := w.person(here)
	for b.Loop() {
		if a := w.call(http.MethodPost, "/api/v1/notes", bearer(ann.token), strings.NewReader(`{"title":"x"}`)); a.status != 200 {
			b.Fatalf("%d %s", a.status, a.body)
		}
	}
}

func BenchmarkProxyBare(b *testing.B) {
	w := startWorld(b)
	w.note.handle("/api/v1/notes", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "answered") })
	ann := w.person(here)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, w.note.srv.URL+"/api/v1/notes", strings.NewReader(`{"title":"x"}`))
		if err != nil {
			b.Fatal(err)
		}
		req.Header = bearer(ann.token)
		res, err := w.note.srv.Client().Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
