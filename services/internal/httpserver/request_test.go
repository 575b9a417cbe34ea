package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/problem"
	"noteworks.dev/services/internal/telemetry"
)

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	_, url := serve(t, http.HandlerFunc(echo), telemetry.Discard(), httpserver.WithMaxBody(1<<10))
	fits := `{"a":"` + strings.Repeat("x", 1<<10-8) + `"}`
	tests := []struct {
		name, code string
		body       io.Reader
	}{
		{"exactly the limit", "", strings.NewReader(fits)},
		{"one byte over", "body-too-large", strings.NewReader(fits + " ")},
		{"one byte over, chunked", "body-too-large", io.MultiReader(strings.NewReader(fits), strings.NewReader(" "))},
		{"100 MB chunked", "body-too-large", io.LimitReader(neverEnding(' '), 100<<20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := do(t, http.MethodPost, url, tt.body); got.code != tt.code || tt.code == "" && got.StatusCode != 200 || tt.code != "" && got.StatusCode != 413 {
				t.Errorf("got %d %s", got.StatusCode, got.body)
			}
		})
	}
}

func TestHeadersAndMethodsThatAreRefused(t *testing.T) {
	t.Parallel()
	var seen lines
	_, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(&seen, r.Method)
		w.WriteHeader(http.StatusNoContent)
	}), telemetry.Discard())
	tests := []struct {
		name, method string
		header       []string
		status       int
		code         string
	}{
		{"a usual request", "GET", nil, 204, ""},
		{"TRACE", "TRACE", nil, 405, "method-not-allowed"},
		{"TRACK", "TRACK", nil, 405, "method-not-allowed"},
		{"a large cookie that fits", "GET", []string{"Cookie", strings.Repeat("c", 31<<10)}, 204, ""},
		{"a cookie over the limit", "GET", []string{"Cookie", strings.Repeat("c", 33<<10)}, 431, "headers-too-large"},
		{"headers far over the limit", "GET", []string{"Cookie", strings.Repeat("c", 200<<10)}, 431, ""},
		{"8 kB of baggage", "GET", []string{"Baggage", "a=" + strings.Repeat("b", 8<<10)}, 204, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := do(t, tt.method, url, nil, tt.header...)
			if got.StatusCode != tt.status || got.code != tt.code {
				t.Errorf("got %d %q", got.StatusCode, got.code)
			}
			if tt.code != "" && !strings.Contains(got.body, `"traceId":"`) {
				t.Errorf("no trace leads to %s", got.body)
			}
		})
	}
	t.Run("method override", func(t *testing.T) {
		t.Parallel()
		do(t, http.MethodPost, url+"?_method=DELETE", nil, "X-HTTP-Method-Override", "DELETE", "X-HTTP-Method", "DELETE", "X-Method-Override", "DELETE")
		if strings.Contains(seen.String(), "DELETE") {
			t.Error("a header changed the method")
		}
	})
}

func TestARequestHasADeadlineExceptALongLivedOne(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			problem.Write(w, r, r.Context().Err())
			return
		}
		_, has := r.Context().Deadline()
		_, _ = fmt.Fprint(w, has)
	})
	_, url := serve(t, h, telemetry.Discard(), httpserver.WithRequestTimeout(50*time.Millisecond),
		httpserver.WithLongLived(func(r *http.Request) bool { return r.URL.Path == "/live" }))
	for path, want := range map[string]string{"/": "true", "/live": "false"} {
		if got := do(t, http.MethodGet, url+path, nil, "Upgrade", "websocket", "X-Request-Timeout", "3600"); got.body != want {
			t.Errorf("%s: a deadline? %s, want %s", path, got.body, want)
		}
	}
	if got := do(t, http.MethodGet, url+"/wait", nil); got.StatusCode != 504 || got.code != "timeout" {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
}

func TestAClientThatLeavesCancelsItsRequest(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	entered, left := make(chan struct{}), make(chan error, 1)
	_, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		left <- r.Context().Err()
		problem.Write(w, r, fmt.Errorf("query: %w", r.Context().Err()))
	}), tel)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-entered
		cancel()
	}()
	if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = res.Body.Close()
		t.Error("there was an answer")
	}
	select {
	case err := <-left:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Second):
		t.Error("the handler did not hear of it within a second")
	}
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("that is no error: %s", log)
	}
}

func TestAPanicIsOneProblemAndOneLine(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	_, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/half":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		panic("secret inside")
	}), tel)
	if got := do(t, http.MethodGet, url, nil); got.StatusCode != 500 || got.code != "internal" || strings.Contains(got.body, "secret") {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
	if got := log.String(); strings.Count(got, `"level":"ERROR"`) != 1 || !strings.Contains(got, "secret inside") || !strings.Contains(got, "request_test.go") {
		t.Errorf("want one line with the stack, got %s", got)
	}
	for _, path := range []string{"/abort", "/half"} {
		if body, err := get(t, url+path); err == nil {
			t.Errorf("%s looks complete: %q", path, body)
		}
	}
	if got := log.String(); strings.Count(got, `"level":"ERROR"`) != 2 {
		t.Errorf("the panic after half an answer is a line, the abort is none: %s", got)
	}
}
