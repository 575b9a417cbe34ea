package server_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/note/server"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"RPC_CALLERS": "user=0123456789abcdef", "DATABASE_URL": "postgres://note:hush@localhost/notes",
		"USER_RPC_URL": "http://user:8082", "USER_RPC_TOKEN": "hush-hush-hush-hush",
	}
	cases := []struct{ name, setting, value, says string }{
		{"callers missing", "RPC_CALLERS", "-", "RPC_CALLERS is not set"},
		{"callers empty", "RPC_CALLERS", "", "RPC_CALLERS is not set"},
		{"callers malformed", "RPC_CALLERS", "hush", "RPC_CALLERS cannot be used"},
		{"a short token", "RPC_CALLERS", "user=hush", "RPC_CALLERS cannot be used"},
		{"database missing", "DATABASE_URL", "-", "DATABASE_URL is not set"},
		{"database malformed", "DATABASE_URL", "mysql://hush", "DATABASE_URL is not a PostgreSQL URL"},
		{"user service missing", "USER_RPC_URL", "-", "USER_RPC_URL is not set"},
		{"user service malformed", "USER_RPC_URL", "hush", "USER_RPC_URL is not a URL"},
		{"token missing", "USER_RPC_TOKEN", "-", "USER_RPC_TOKEN is not set"},
		{"an unreadable file", "USER_RPC_TOKEN_FILE", "/does/not/exist", "USER_RPC_TOKEN_FILE names a file that cannot be read"},
		{"retention of the wrong type", "TRASH_RETENTION", "hush", "TRASH_RETENTION has a value that cannot be used"},
		{"retention of nothing", "TRASH_RETENTION", "0s", "TRASH_RETENTION is not positive"},
		{"grace of nothing", "SHUTDOWN_GRACE", "-1s", "SHUTDOWN_GRACE is not positive"},
		{"too few connections", "DATABASE_MAX_CONNS", "1", "DATABASE_MAX_CONNS is too small"},
		{"connections of the wrong type", "DATABASE_MAX_CONNS", "many", "DATABASE_MAX_CONNS has a value that cannot be used"},
		{"traces to nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT", "hush", "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := maps.Clone(good)
			set[c.setting] = c.value
			if c.value == "-" {
				delete(set, c.setting)
			}
			if name, isFile := strings.CutSuffix(c.setting, "_FILE"); isFile {
				delete(set, name)
			}
			var logs bytes.Buffer
			err := server.Run(t.Context(), config.Map(set), &logs)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "hush") || strings.Contains(logs.String(), "hush") {
				t.Errorf("a value is shown: %v %s", err, &logs)
			}
		})
	}
}
