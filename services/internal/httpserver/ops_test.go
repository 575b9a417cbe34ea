package httpserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/httpserver"
)

func TestOperationsPort(t *testing.T) {
	t.Parallel()
	tel, log := logged(t)
	var mu sync.Mutex
	var unready error
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	s := httpserver.NewOps("127.0.0.1:0", func(context.Context) error {
		mu.Lock()
		err := unready
		mu.Unlock()
		if errors.Is(err, errHang) {
			<-hang // a check that ignores its context
		}
		return err
	}, tel)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	url := "http://" + s.Addr()
	set := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		unready = err
	}
	expect := func(what string, wants map[string]int) {
		t.Helper()
		for path, want := range wants {
			if got := do(t, http.MethodGet, url+path, nil); got.StatusCode != want || got.Header.Get("Cache-Control") != "no-store" && path != "/metrics" {
				t.Errorf("%s: %s answers %d, want %d", what, path, got.StatusCode, want)
			}
		}
	}
	expect("ready", map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/debug/pprof/": 404})
	set(errors.New("the database\n\tis away"))
	for range 3 {
		expect("dependency away", map[string]int{"/livez": 200, "/readyz": 503})
	}
	const reason = "not ready: the database is away\n"
	if body := do(t, http.MethodGet, url+"/readyz", nil).body; body != reason {
		t.Errorf("the reason is %q, not %q", body, reason)
	}
	if said := strings.Count(log.String(), "the database is away"); said != 1 {
		t.Errorf("it is said %d times in the log: %s", said, log)
	}
	set(errHang)
	begin := time.Now()
	expect("check that hangs", map[string]int{"/readyz": 503})
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	set(nil)
	s.Drain()
	expect("draining", map[string]int{"/livez": 200, "/readyz": 503})
	if strings.Contains(log.String(), `"level":"ERROR"`) {
		t.Errorf("not being ready is no error: %s", log)
	}
	if !strings.Contains(do(t, http.MethodGet, url+"/metrics", nil).body, "go_goroutines") {
		t.Error("no metrics")
	}
}

var errHang = errors.New("hangs")
