package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// SpreadOptions say what a Spread is made of.
type SpreadOptions struct {
	// Dir holds everything. PostgreSQL's account must be able to reach it.
	Dir string
	// How many replicas, at least 1, and how many NATS servers, 1 or 3.
	Notes, Gateways, NATS int
	// Via puts something between two parts: it returns the address at which one part finds the other, which is at upstream. The link is called
	// by both, such as "note-1 to postgres". Nil: nothing.
	Via func(link, upstream string) (string, error)
	// Settings of the services beyond those that they need, for all and by service.
	Settings map[string]string
	Of       map[string]map[string]string
	// Postgres is settings of PostgreSQL.
	Postgres map[string]string
	// NATSCommand runs a server of NATS otherwise than by itself: the command before the program's path. Nil: by itself.
	NATSCommand func(name, dir string) []string
	// Log is where a process writes.
	Log func(process string) io.Writer
}

// Spread is the whole stack as separate programs on loopback: user, replicas of note and gateway, NATS and PostgreSQL. Each may be killed and
// started again.
type Spread struct {
	Postgres *Postgres
	// Door is the address of the gateways, Notes of the notes.
	Door, Notes *Endpoints

	options   SpreadOptions
	programs  Programs
	nats      []natsServer
	processes map[string]*Process
	order     []string
	links     map[string]string
	rpc       map[string]string // the internal address of each service's replica

	mu        sync.Mutex
	passwords map[string]string // of NATS, by user
	database  map[string]string // of PostgreSQL, by role
	callers   map[string]string
}

func secret() string { return rand.Text()[:20] }

func secrets(names ...string) map[string]string {
	all := map[string]string{}
	for _, name := range names {
		all[name] = secret()
	}
	return all
}

// New lays out a Spread and starts PostgreSQL and the two addresses; Start starts the rest. Stop it also when it fails later.
func (p Programs) New(o SpreadOptions) (*Spread, error) {
	if o.Via == nil {
		o.Via = func(_, upstream string) (string, error) { return upstream, nil }
	}
	s := &Spread{
		options: o, programs: p, processes: map[string]*Process{}, links: map[string]string{}, rpc: map[string]string{},
		passwords: secrets(NATSAdmin, "user", "note", "gateway"), database: secrets("user_owner", "user_app", "note_owner", "note_app"),
		callers: secrets("note", "user", "operator", "admin"),
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "web"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "web", "index.html"), []byte("<!doctype html><title>Noteworks</title>"), 0o600); err != nil {
		return nil, err
	}
	for _, step := range []func() error{s.layPostgres, s.layNATS, s.TellNATSPasswords, s.layServices} {
		if err := step(); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

func (s *Spread) layPostgres() error {
	args := []string{"-data", filepath.Join(s.options.Dir, "postgres")}
	for role, password := range s.database {
		args = append(args, "-role", role+"="+password)
	}
	for name, value := range s.options.Postgres {
		args = append(args, "-set", name+"="+value)
	}
	args = append(args, "-database", "users=user_owner,user_app", "-database", "notes=note_owner,note_app")
	var err error
	s.Postgres, err = startPostgres(s.programs.path("postgres"), s.options.Log("postgres"), args...)
	return err
}

func (s *Spread) layNATS() error {
	for i := range s.options.NATS {
		n := natsServer{name: "nats-" + strconv.Itoa(i+1)}
		n.dir, n.file = s.NATSDir(n.name), filepath.Join(s.options.Dir, n.name+".conf")
		for _, addr := range []*string{&n.client, &n.cluster, &n.http} {
			free, err := freeAddress()
			if err != nil {
				return err
			}
			*addr = free
		}
		s.nats = append(s.nats, n)
		command := []string{s.programs.path("nats"), "-c", n.file}
		if s.options.NATSCommand != nil {
			command = append(s.options.NATSCommand(n.name, n.dir), command...)
		}
		s.add(&Process{Name: n.name, path: command[0], args: command[1:], env: os.Environ, live: "http://" + n.http + "/healthz?js-enabled-only=true"})
	}
	return s.writeNATS()
}

func (s *Spread) add(p *Process) {
	p.log = s.options.Log(p.Name)
	s.processes[p.Name] = p
	s.order = append(s.order, p.Name)
}

// via is the address of upstream as from finds it.
func (s *Spread) via(from, to, upstream string) (string, error) {
	link := from + " to " + to
	if known, ok := s.links[link]; ok {
		return known, nil
	}
	addr, err := s.options.Via(link, upstream)
	if err != nil {
		return "", fmt.Errorf("%s: %w", link, err)
	}
	s.links[link] = addr
	return addr, nil
}

// DatabaseURL is a database of PostgreSQL directly, not through a link, as a role ("note_app"), or as the superuser if that is empty.
func (s *Spread) DatabaseURL(name, role string) (string, error) {
	if role != "" {
		return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", role, s.database[role], s.Postgres.Addr, name), nil
	}
	text, err := s.Postgres.AdminURL()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	u.Path = name
	return u.String(), nil
}

// Process is "user", "note-1", "gateway-1", "nats-1" and so on.
func (s *Spread) Process(name string) *Process { return s.processes[name] }

// Names are of all processes of a kind ("note"), in order; of all services if kind is empty.
func (s *Spread) Names(kind string) []string {
	var all []string
	for _, name := range s.order {
		is, _, _ := strings.Cut(name, "-")
		if is == kind || kind == "" && is != "nats" {
			all = append(all, name)
		}
	}
	return all
}

// Metrics is the address of a service's metrics.
func (s *Spread) Metrics(name string) string {
	return strings.TrimSuffix(s.processes[name].live, "/readyz") + "/metrics"
}

// URL is the default workspace's.
func (s *Spread) URL() string { return s.WorkspaceURL("") }

// WorkspaceURL is that of the workspace with the slug.
func (s *Spread) WorkspaceURL(slug string) string {
	_, port, _ := net.SplitHostPort(s.Door.Addr)
	if slug != "" {
		slug += "."
	}
	return "http://" + slug + "localhost:" + port
}

// Start starts everything, in the order of need.
func (s *Spread) Start(ctx context.Context) error {
	for _, name := range s.order {
		if err := s.processes[name].Launch(); err != nil {
			return err
		}
	}
	return s.Await(ctx)
}

// Await waits until everything is up.
func (s *Spread) Await(ctx context.Context) error {
	for _, name := range s.order {
		if err := s.processes[name].Await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Command runs a service's program with a word after its name ("migrate"), with the settings of the replica and some of its own.
func (s *Spread) Command(name string, more map[string]string, args ...string) *Process {
	base := s.processes[name]
	return &Process{Name: name + " " + strings.Join(args, " "), path: base.path, args: args, log: base.log, env: func() []string {
		return append(base.env(), environment(more)()...)
	}}
}

// ApplyWorkspaces makes sure of the default workspace and of others, by slug, as a chart's job does.
func (s *Spread) ApplyWorkspaces(slugs ...string) error {
	dir := filepath.Join(s.options.Dir, "owners")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var list []string
	for _, slug := range append([]string{"default"}, slugs...) {
		if err := os.WriteFile(filepath.Join(dir, slug), []byte(secret()), 0o600); err != nil {
			return err
		}
		list = append(list, fmt.Sprintf(`{"slug":%q,"title":%q,"owner":{"email":"owner@%s.example","name":"Owner"}}`, slug, slug, slug))
	}
	c := s.Command("user", map[string]string{
		"WORKSPACES": "[" + strings.Join(list, ",") + "]", "WORKSPACE_PASSWORDS_DIR": dir,
	}, "apply-workspaces")
	if err := c.Launch(); err != nil {
		return err
	}
	return c.Ended(stopPatience)
}

// Stop kills everything that runs.
func (s *Spread) Stop() {
	for _, p := range s.processes {
		p.Kill()
	}
	for _, e := range []*Endpoints{s.Door, s.Notes} {
		if e != nil {
			e.close()
		}
	}
	if s.Postgres != nil {
		s.Postgres.stop()
	}
}
