package systemtest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"noteworks.dev/test/client"
)

// letter is a request down to what no well-behaved client would send.
type letter struct {
	method, path string // the path as it stands in the request line, with its query
	host         string // what the Host header says, if not the address
	header       http.Header
	body         io.Reader
}

// answered is what came back.
type answered struct {
	status int
	header http.Header
	text   string
}

// send is one request by somebody; by nobody if token is empty.
func (a *attacked) send(token string, l letter) answered {
	a.t.Helper()
	got, err := a.try(token, l)
	if err != nil {
		a.t.Fatalf("%s %.200s: %v", l.method, l.path, err)
	}
	return got
}

func (a *attacked) try(token string, l letter) (answered, error) {
	req, err := http.NewRequestWithContext(a.t.Context(), l.method, a.stack.URL(), l.body)
	if err != nil {
		return answered{}, err
	}
	path, query, _ := strings.Cut(l.path, "?")
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path, RawQuery: query}
	if l.host != "" {
		req.Host = l.host
	}
	maps.Copy(req.Header, l.header)
	if token != "" && req.Header["Authorization"] == nil {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if l.body != nil && req.Header["Content-Type"] == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := loopback.RoundTrip(req)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols { // and then no answer, but a conversation
		return answered{resp.StatusCode, resp.Header, ""}, nil
	}
	text, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(text)}, err
}

// loopback follows no redirect, keeps no cookie, and sends no body that was announced and is not wanted.
var loopback = func() *http.Transport { //nolint:gochecknoglobals // connections are worth keeping
	t := client.Loopback()
	t.ExpectContinueTimeout = patience
	return t
}()

// header is what the operation needs beside its body to be done.
func (a *attacked) header(o operation) http.Header {
	h := http.Header{}
	for _, p := range o.params {
		if p.In == "header" && p.Name == "If-Match" {
			h.Set("If-Match", fmt.Sprintf("%q", fmt.Sprint(a.version)))
		}
	}
	return h
}

// good is a request that would be done.
func (a *attacked) good(o operation) letter { return a.goodAt(o, a.ids) }

// goodAt is the same for other things, a note at the same version among them.
func (a *attacked) goodAt(o operation, ids map[string]string) letter {
	l := letter{method: o.method, path: o.at(ids), header: a.header(o)}
	if o.body != nil {
		l.body = strings.NewReader(a.bodies[o.id].String())
	}
	return l
}

// inHand gives a letter an exact body, whose length is told.
func (l letter) inHand(body string) letter {
	l.body = bytes.NewReader([]byte(body))
	return l
}

// inPieces gives a letter a body whose length is not told.
func (l letter) inPieces(body io.Reader) letter {
	l.body = struct{ io.Reader }{body}
	return l
}

// spaces are so many of them.
type spaces struct {
	mu   sync.Mutex
	left int
}

func (s *spaces) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(p), s.left)
	if n == 0 {
		return 0, io.EOF
	}
	copy(p, bytes.Repeat([]byte(" "), n))
	s.left -= n
	return n, nil
}

func (s *spaces) unread() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}
