package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/telemetry"
)

func TestStopWaitsForRunningRequests(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan struct{}), make(chan struct{})
	s, url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-finish
		_, _ = fmt.Fprint(w, "whole ", r.Context().Err())
	}), telemetry.Discard())
	answered := make(chan string, 1)
	go func() {
		body, err := get(t, url)
		answered <- fmt.Sprint(body, err)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.WithoutCancel(t.Context())) }()
	refused(t, s.Addr())
	close(finish)
	if got := <-answered; got != "whole <nil><nil>" {
		t.Errorf("got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered, gone := make(chan struct{}), make(chan struct{})
	s, url := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(gone)
	}), telemetry.Discard(), httpserver.WithRequestTimeout(0))
	answered := make(chan error, 1)
	go func() {
		_, err := get(t, url)
		answered <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it should say that it was cut short, got %v", err)
	}
	<-gone
	if err := <-answered; err == nil {
		t.Error("the client should notice")
	}
}

func TestLifecycle(t *testing.T) { //nolint:paralleltest // goroutines are counted
	tel := telemetry.Discard()
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle {
		return httpserver.New("test", "127.0.0.1:0", http.NotFoundHandler(), tel)
	})
}
