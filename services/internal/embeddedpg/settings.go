package embeddedpg

import (
	"maps"
	"slices"
)

// defaults suit a server for one small machine: durable, quiet, and with little memory of its own (the operating
// system's cache does the rest).
func defaults() map[string]string {
	return map[string]string{
		"shared_buffers":                  "32MB",
		"max_connections":                 "200",
		"max_wal_size":                    "256MB",
		"min_wal_size":                    "32MB",
		"wal_level":                       "minimal", // no replica will ever follow
		"max_wal_senders":                 "0",
		"max_logical_replication_workers": "0",
		"io_method":                       "sync", // three worker processes fewer; nothing here scans much
		"jit":                             "off",  // statements are short: compiling costs more than it saves
		"huge_pages":                      "off",
		"timezone":                        "UTC",
		"log_timezone":                    "UTC",
		"log_line_prefix":                 "%m [%p] %q%u@%d ",
		"log_min_messages":                "warning",
		"log_min_error_statement":         "panic", // statements may hold what people wrote
		"log_error_verbosity":             "terse", // so may the DETAIL of an error
		"log_checkpoints":                 "off",
		"log_disconnections":              "off",
		"log_connections":                 "",
		"client_min_messages":             "warning",
		"password_encryption":             "scram-sha-256",
		"restart_after_crash":             "on",
		"superuser_reserved_connections":  "5",
	}
}

// ForTests trades durability for speed: a crash of the operating system may lose data, which no test looks at. A kill of the server still loses
// nothing.
func ForTests() map[string]string {
	return map[string]string{
		"fsync":              "off",
		"full_page_writes":   "off",
		"max_connections":    "500",
		"autovacuum_naptime": "1h",
	}
}

// arguments are the command line: what cannot be changed last, so that it wins.
func arguments(socketDir string, overrides map[string]string) []string {
	all := defaults()
	maps.Copy(all, overrides)
	maps.Copy(all, map[string]string{
		"listen_addresses":        "", // no TCP: the socket's directory is private
		"unix_socket_directories": socketDir,
		"unix_socket_permissions": "0700",
	})
	args := make([]string, 0, 2*len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}
