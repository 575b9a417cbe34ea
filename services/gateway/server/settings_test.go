package server

import (
	"context"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

func good() map[string]string {
	return map[string]string{
		"HTTP_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0",
		"USER_HTTP_URL": "http://127.0.0.1:1", "NOTE_HTTP_URL": "http://127.0.0.1:1", "USER_RPC_URL": "http://127.0.0.1:1/",
		"NATS_URL": "nats://127.0.0.1:1", "OTEL_SDK_DISABLED": "true", "LOG_LEVEL": "error",
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for name, c := range map[string]struct{ key, value, says string }{
		"user missing":             {"USER_HTTP_URL", "", "USER_HTTP_URL"},
		"user no URL":              {"USER_HTTP_URL", "user:8081", "a URL such as http://user:8081"},
		"user with a path":         {"USER_HTTP_URL", "http://user:8081/api", "USER_HTTP_URL"},
		"note missing":             {"NOTE_HTTP_URL", "", "NOTE_HTTP_URL"},
		"note of another scheme":   {"NOTE_HTTP_URL", "ftp://note", "NOTE_HTTP_URL"},
		"keys missing":             {"USER_RPC_URL", "", "USER_RPC_URL"},
		"keys no URL":              {"USER_RPC_URL", "::", "USER_RPC_URL"},
		"proxies no networks":      {"TRUSTED_PROXIES", "10.0.0.1", "a network such as 10.0.0.0/8"},
		"origin with a path":       {"ALLOWED_ORIGINS", "https://app.example/x", "ALLOWED_ORIGINS"},
		"origin a wildcard":        {"ALLOWED_ORIGINS", "*", "ALLOWED_ORIGINS"},
		"sockets no number":        {"LIVE_MAX_SOCKETS", "many", "a whole number"},
		"sockets none":             {"LIVE_MAX_SOCKETS", "0", "LIVE_MAX_SOCKETS"},
		"grace no duration":        {"SHUTDOWN_GRACE", "10", "a duration"},
		"grace negative":           {"SHUTDOWN_GRACE", "-1s", "SHUTDOWN_GRACE"},
		"request timeout nothing":  {"REQUEST_TIMEOUT", "0s", "REQUEST_TIMEOUT"},
		"file unreadable":          {"USER_HTTP_URL_FILE", missing, "USER_HTTP_URL"},
		"web app missing":          {"WEB_DIR", missing, "web app"},
		"log level":                {"LOG_LEVEL", "loud", "LOG_LEVEL"},
		"address in use by nobody": {"HTTP_ADDR", "256.0.0.1:http", "256.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := good()
			set[c.key] = c.value
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := Run(ctx, config.Map(set), io.Discard)
			if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestItRunsUntilItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error)
	go func() { over <- Run(ctx, config.Map(good()), io.Discard) }()
	cancel()
	select {
	case err := <-over:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("still running")
	}
}

func TestLifecycle(t *testing.T) { //nolint:paralleltest // compares goroutines
	nats := natstest.Start(t)
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle {
		set := good()
		maps.Copy(set, map[string]string{"NATS_URL": nats.URL, "NATS_USER": "gateway", "NATS_PASSWORD": natstest.Password, "WEB_DIR": appDir(t)})
		cfg, err := config.Load[Config](config.Map(set))
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(t.Context(), cfg, telemetry.Discard())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, goleak.IgnoreCurrent())
}
