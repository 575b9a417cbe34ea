package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"noteworks.dev/services/internal/breaker"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

var errBoom = errors.New("connection refused")

func newBreaker(t *testing.T) (*breaker.Breaker, *telemetry.Telemetry) {
	t.Helper()
	tel, err := telemetry.New(t.Context(), "gateway", config.Map(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b, err := breaker.New("note", tel)
	if err != nil {
		t.Fatal(err)
	}
	return b, tel
}

// call makes one call that ends with err, and reports whether it was let through.
func call(t *testing.T, b *breaker.Breaker, err error) bool {
	t.Helper()
	done, refused := b.Allow()
	if refused != nil {
		if e := errs.As(refused); e.Kind != errs.KindUnavailable || e.RetryAfter <= 0 {
			t.Errorf("refused with %+v", e)
		}
		return false
	}
	done(err)
	return true
}

func state(t *testing.T, tel *telemetry.Telemetry, upstream string) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, fmt.Sprintf("noteworks_breaker_state{upstream=%q} ", upstream)) {
			return strings.TrimSpace(line[strings.LastIndex(line, " "):])
		}
	}
	return "missing"
}

func TestItOpensTriesAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, tel := newBreaker(t)
		for range 10 {
			if !call(t, b, errBoom) {
				t.Fatal("it opened too early")
			}
		}
		if call(t, b, nil) || state(t, tel, "note") != "2" {
			t.Fatalf("it should be open, state %s", state(t, tel, "note"))
		}
		time.Sleep(1300 * time.Millisecond) //nolint:forbidigo // in a bubble this moves a clock and waits for nothing
		if !call(t, b, errBoom) || call(t, b, nil) {
			t.Fatal("a trial that fails should open it again")
		}
		time.Sleep(1300 * time.Millisecond) //nolint:forbidigo // as above
		if !call(t, b, nil) || state(t, tel, "note") != "1" {
			t.Fatalf("it should be half open, state %s", state(t, tel, "note"))
		}
		if !call(t, b, nil) || state(t, tel, "note") != "0" {
			t.Fatalf("two good trials should close it, state %s", state(t, tel, "note"))
		}
	})
}

func TestItStaysClosed(t *testing.T) {
	t.Parallel()
	tests := map[string]func(i int) error{
		"when few calls fail": func(i int) error { return map[bool]error{true: errBoom}[i%3 == 0] },
		"when callers leave":  func(int) error { return fmt.Errorf("read: %w", context.Canceled) },
		"when all is well":    func(int) error { return nil },
	}
	for name, outcome := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newBreaker(t)
			for i := range 50 {
				if !call(t, b, outcome(i)) {
					t.Fatalf("it opened at call %d", i)
				}
			}
		})
	}
}

func TestEachUpstreamHasAStateOfItsOwn(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(t.Context(), "gateway", config.Map(nil), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var note *breaker.Breaker
	for _, upstream := range []string{"user", "note"} {
		if note, err = breaker.New(upstream, tel); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		call(t, note, errBoom)
	}
	if got := state(t, tel, "user") + " " + state(t, tel, "note"); got != "0 2" {
		t.Errorf("the states are %s", got)
	}
}
