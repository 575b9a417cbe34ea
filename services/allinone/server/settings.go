package server

import (
	"fmt"
	"maps"
	"net"

	"noteworks.dev/services/internal/config"
)

// addresses are where the parts listen, all on loopback.
type addresses struct {
	gateway, userHTTP, userRPC, noteHTTP, noteRPC string
}

// environmentOf is the settings of one service, just as its own program would get them from its environment.
type environmentOf struct {
	service  string
	settings map[string]string
}

// settle answers the services' environments in the order in which they start.
func settle(a addresses, nats string, database func(name, role, password string) string, s *secrets, web string) []environmentOf {
	common := func(service string) map[string]string {
		return map[string]string{
			"OPS_ADDR":        "127.0.0.1:0",
			"NATS_URL":        nats,
			"NATS_USER":       service,
			"NATS_PASSWORD":   s.NATS[service],
			"TRUSTED_PROXIES": "127.0.0.0/8",
			// There is no other replica to send anybody to.
			"SHUTDOWN_LINGER": "0s",
			// A laptop that is busy for a moment is no outage.
			"DATABASE_ACQUIRE_TIMEOUT": "3s",
			"DATABASE_LOCK_TIMEOUT":    "3s",
		}
	}
	of := func(service string, settings map[string]string) environmentOf {
		all := common(service)
		maps.Copy(all, settings)
		return environmentOf{service, all}
	}
	return []environmentOf{
		of("user", map[string]string{
			"HTTP_ADDR":            a.userHTTP,
			"RPC_ADDR":             a.userRPC,
			"DATABASE_URL":         database("users", "user_app", s.Database["user_app"]),
			"MIGRATE_DATABASE_URL": database("users", "user_owner", s.Database["user_owner"]),
			"RPC_CALLERS":          fmt.Sprintf("note=%s,operator=%s,admin=%s", s.Callers["note"], s.Callers["operator"], s.Callers["admin"]),
			"NOTE_RPC_URL":         "http://" + a.noteRPC,
			"NOTE_RPC_TOKEN":       s.Callers["user"],
			// Generous: everybody who tries it comes from one address.
			"RATE_LIMIT_ADDRESS_PER_MINUTE": "6000",
			"RATE_LIMIT_ADDRESS_BURST":      "1000",
			"RATE_LIMIT_ACCOUNT_PER_MINUTE": "120",
			"RATE_LIMIT_ACCOUNT_BURST":      "60",
		}),
		of("note", map[string]string{
			"HTTP_ADDR":            a.noteHTTP,
			"RPC_ADDR":             a.noteRPC,
			"DATABASE_URL":         database("notes", "note_app", s.Database["note_app"]),
			"MIGRATE_DATABASE_URL": database("notes", "note_owner", s.Database["note_owner"]),
			"RPC_CALLERS":          fmt.Sprintf("user=%s,admin=%s", s.Callers["user"], s.Callers["admin"]),
			"USER_RPC_URL":         "http://" + a.userRPC,
			"USER_RPC_TOKEN":       s.Callers["note"],
		}),
		of("gateway", map[string]string{
			"HTTP_ADDR":       a.gateway,
			"USER_HTTP_URL":   "http://" + a.userHTTP,
			"NOTE_HTTP_URL":   "http://" + a.noteHTTP,
			"USER_RPC_URL":    "http://" + a.userRPC,
			"WEB_DIR":         web,
			"TRUSTED_PROXIES": "",
		}),
	}
}

// environment answers a service's own settings first and the process's OTEL_* and LOG_* ones after them.
// The service's name is its own: one name for three would merge them in the trace.
func environment(own map[string]string, process config.LookupFunc) config.LookupFunc {
	return func(key string) (string, bool) {
		if v, ok := own[key]; ok {
			return v, true
		}
		if key == "OTEL_SERVICE_NAME" || !passesThrough(key) {
			return "", false
		}
		return process(key)
	}
}

func passesThrough(key string) bool {
	for _, prefix := range []string{"OTEL_", "LOG_"} {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			return true
		}
	}
	return false
}

// freeAddresses finds loopback ports that are free now. Nothing holds them until the services listen; a port taken in between is
// reported by the service that wanted it.
func freeAddresses(into ...*string) error {
	for _, a := range into {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		*a = l.Addr().String()
	}
	return nil
}
