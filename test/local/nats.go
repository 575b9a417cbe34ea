package local

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sigs.k8s.io/yaml"

	"noteworks.dev/charts"
)

const (
	// NATSAdmin is a user of NATS that may do everything, to break things by hand.
	NATSAdmin = "admin"
	// rightsFile is what the chart lets each service do.
	rightsFile = charts.Umbrella + "/charts/nats/files/rights.yaml"
)

type rights struct {
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
}

// natsServer is where one server of the cluster listens and keeps its files.
type natsServer struct {
	name, client, cluster, http, dir, file string
}

// NATSPassword is the password of a user of NATS at present.
func (s *Spread) NATSPassword(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passwords[user]
}

// RotateNATS gives the services' users new passwords. The servers know them at once, the services' files hold them when tell is true.
func (s *Spread) RotateNATS(tell bool) error {
	s.mu.Lock()
	for user := range s.passwords {
		if user != NATSAdmin {
			s.passwords[user] = secret()
		}
	}
	s.mu.Unlock()
	if err := s.writeNATS(); err != nil {
		return err
	}
	for _, n := range s.nats {
		s.Process(n.name).Signal(syscall.SIGHUP) // reload
	}
	if !tell {
		return nil
	}
	return s.TellNATSPasswords()
}

// TellNATSPasswords writes the passwords at present into the services' files.
func (s *Spread) TellNATSPasswords() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for user, password := range s.passwords {
		// As a mounted Secret is replaced: the new file takes the old one's place.
		file := s.passwordFile(user)
		if err := os.WriteFile(file+".new", []byte(password), 0o600); err != nil {
			return err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spread) passwordFile(user string) string { return filepath.Join(s.options.Dir, "nats-"+user) }

// NATSDir is where a server of NATS keeps its files: "nats-1" for the first.
func (s *Spread) NATSDir(name string) string { return filepath.Join(s.options.Dir, name) }

// NATSURL is where the servers of NATS answer directly, not through a link.
func (s *Spread) NATSURL() string {
	var all []string
	for _, n := range s.nats {
		all = append(all, "nats://"+n.client)
	}
	return strings.Join(all, ",")
}

// writeNATS writes each server's configuration: the rights are the chart's.
func (s *Spread) writeNATS() error {
	text, err := fs.ReadFile(charts.FS(), rightsFile)
	if err != nil {
		return err
	}
	var users map[string]rights
	if err := yaml.Unmarshal(text, &users); err != nil {
		return fmt.Errorf("%s: %w", rightsFile, err)
	}
	for _, n := range s.nats {
		if err := os.WriteFile(n.file, []byte(s.natsConfig(n, users)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spread) natsConfig(n natsServer, users map[string]rights) string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line("server_name: %s", n.name)
	line("listen: %q", n.client)
	line("http: %q", n.http)
	line("max_payload: 1MB\nmax_pending: 16MB\nping_interval: 10s")
	line("jetstream {store_dir: %q, max_memory_store: 64MB, max_file_store: 64GB, sync_interval: 2s}", n.dir)
	if len(s.nats) > 1 {
		line("cluster {name: noteworks, listen: %q, routes: [", n.cluster)
		for _, other := range s.nats {
			line("  %q", "nats://"+other.cluster)
		}
		line("]}")
	}
	line("authorization {timeout: 5, users: [")
	line("  {user: %s, password: %q}", NATSAdmin, s.NATSPassword(NATSAdmin))
	for user, may := range users {
		line("  {user: %s, password: %q, permissions: {publish: {allow: %s}, subscribe: {allow: %s}}}", user, s.NATSPassword(user), listOf(may.Publish), listOf(may.Subscribe))
	}
	line("]}")
	return b.String()
}

// listOf is a list in the words of NATS's configuration.
func listOf(subjects []string) string {
	var all []string
	for _, subject := range subjects {
		all = append(all, strconv.Quote(subject))
	}
	return "[" + strings.Join(all, ", ") + "]"
}
