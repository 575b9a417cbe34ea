package wire

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestHTTPReadsAnswersOfAnyLength(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Host != "acme.localhost" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Etag", r.Header.Get("If-Match"))
		_, _ = w.Write(body) // long ones are chunked
	}))
	defer server.Close()
	h := NewHTTP(strings.TrimPrefix(server.URL, "http://"), "acme.localhost", "secret")
	defer h.Close()
	for _, n := range []int{10, 100_000, 0, 10} {
		body := bytes.Repeat([]byte("x"), n)
		a, err := h.Do(http.MethodPatch, "/", `"3"`, body)
		if err != nil || a.Status != http.StatusOK || !bytes.Equal(a.Body, body) || a.Header.Get("Etag") != `"3"` {
			t.Fatalf("%d bytes: %d, %d bytes, %v", n, a.Status, len(a.Body), err)
		}
	}
}

func TestSocketSpeaksWithAnotherImplementation(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for {
			kind, text, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if string(text) == "bye" {
				_ = c.Close(websocket.StatusGoingAway, "restart")
				return
			}
			go func() { _ = c.Ping(r.Context()) }()
			if err := c.Write(r.Context(), kind, text); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	s, err := DialSocket(t.Context(), addr, addr, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []int{0, 5, 200, 30_000} {
		sent := bytes.Repeat([]byte("y"), n)
		if err := s.Send(sent); err != nil {
			t.Fatal(err)
		}
		got, err := s.Next()
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
	if err := s.Send([]byte("bye")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); !errors.Is(err, ErrClosed) {
		t.Errorf("the end was %v", err)
	}
}

func TestARefusedSocketSaysWhy(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no further sockets", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	_, err := DialSocket(t.Context(), strings.TrimPrefix(server.URL, "http://"), "localhost", "/", nil)
	if err == nil || !strings.Contains(err.Error(), "no further sockets") {
		t.Errorf("got %v", err)
	}
}
