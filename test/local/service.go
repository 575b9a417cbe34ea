package local

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
)

// service is where a replica of a service listens.
type service struct{ name, kind, http, rpc, ops string }

func (s *Spread) layServices() error {
	user, err := newService("user", "user")
	if err != nil {
		return err
	}
	var notes, gateways []service
	for i := range s.options.Notes {
		n, err := newService("note-"+strconv.Itoa(i+1), "note")
		if err != nil {
			return err
		}
		notes = append(notes, n)
	}
	for i := range s.options.Gateways {
		g, err := newService("gateway-"+strconv.Itoa(i+1), "gateway")
		if err != nil {
			return err
		}
		gateways = append(gateways, g)
	}
	if s.Notes, err = serveEndpoints("127.0.0.1:0", replicas(notes)); err != nil {
		return err
	}
	if s.Door, err = serveEndpoints("127.0.0.1:0", replicas(gateways)); err != nil {
		return err
	}
	for _, one := range append(append([]service{user}, notes...), gateways...) {
		settings, err := s.settingsOf(one, user, notes[0])
		if err != nil {
			return err
		}
		s.rpc[one.name] = one.rpc
		s.add(&Process{Name: one.name, path: s.programs.path(one.kind), env: environment(settings), live: "http://" + one.ops + "/readyz"})
	}
	return nil
}

func newService(name, kind string) (service, error) {
	one := service{name: name, kind: kind}
	for _, addr := range []*string{&one.http, &one.rpc, &one.ops} {
		free, err := freeAddress()
		if err != nil {
			return service{}, err
		}
		*addr = free
	}
	return one, nil
}

func replicas(services []service) []replica {
	var all []replica
	for _, one := range services {
		all = append(all, replica{one.http, "http://" + one.ops + "/readyz"})
	}
	return all
}

func environment(settings map[string]string) func() []string {
	return func() []string {
		var env []string
		for k, v := range settings {
			env = append(env, k+"="+v)
		}
		return env
	}
}

func (s *Spread) settingsOf(one, user, note service) (map[string]string, error) {
	settings := map[string]string{
		"HTTP_ADDR": one.http, "OPS_ADDR": one.ops, "OTEL_SERVICE_NAME": one.kind,
		"NATS_USER": one.kind, "NATS_PASSWORD": s.passwords[one.kind], "NATS_PASSWORD_FILE": s.passwordFile(one.kind),
		"SHUTDOWN_LINGER": "1s",
	}
	// A password that is given by a file is not given twice.
	delete(settings, "NATS_PASSWORD")
	urls, err := s.natsURLs(one.name)
	if err != nil {
		return nil, err
	}
	settings["NATS_URL"] = urls
	var more map[string]string
	switch one.kind {
	case "user":
		more, err = s.userSettings(one, note)
	case "note":
		more, err = s.noteSettings(one, user)
	default:
		more, err = s.gatewaySettings(one, user)
	}
	if err != nil {
		return nil, err
	}
	for _, all := range []map[string]string{more, s.options.Settings, s.options.Of[one.kind]} {
		maps.Copy(settings, all)
	}
	return settings, nil
}

func (s *Spread) natsURLs(of string) (string, error) {
	var all []string
	for _, n := range s.nats {
		addr, err := s.via(of, n.name, n.client)
		if err != nil {
			return "", err
		}
		all = append(all, "nats://"+addr)
	}
	return strings.Join(all, ","), nil
}

func (s *Spread) databaseURL(of, name, role string) (string, error) {
	addr, err := s.via(of, "postgres", s.Postgres.Addr)
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", role, s.database[role], addr, name), err
}

func (s *Spread) userSettings(one, note service) (map[string]string, error) {
	app, err := s.databaseURL(one.name, "users", "user_app")
	owner, err2 := s.databaseURL(one.name, "users", "user_owner")
	rpc, err3 := s.via(one.name, "note", note.rpc)
	return map[string]string{
		"RPC_ADDR": one.rpc, "DATABASE_URL": app, "MIGRATE_DATABASE_URL": owner, "TRUSTED_PROXIES": "127.0.0.0/8",
		"RPC_CALLERS":  "note=" + s.callers["note"] + ",operator=" + s.callers["operator"] + ",admin=" + s.callers["admin"],
		"NOTE_RPC_URL": "http://" + rpc, "NOTE_RPC_TOKEN": s.callers["user"],
		"RATE_LIMIT_ADDRESS_PER_MINUTE": "60000", "RATE_LIMIT_ADDRESS_BURST": "10000",
		"RATE_LIMIT_ACCOUNT_PER_MINUTE": "6000", "RATE_LIMIT_ACCOUNT_BURST": "1000",
	}, errors.Join(err, err2, err3)
}

func (s *Spread) noteSettings(one, user service) (map[string]string, error) {
	app, err := s.databaseURL(one.name, "notes", "note_app")
	owner, err2 := s.databaseURL(one.name, "notes", "note_owner")
	rpc, err3 := s.via(one.name, "user", user.rpc)
	return map[string]string{
		"RPC_ADDR": one.rpc, "DATABASE_URL": app, "MIGRATE_DATABASE_URL": owner, "TRUSTED_PROXIES": "127.0.0.0/8",
		"RPC_CALLERS": "user=" + s.callers["user"] + ",admin=" + s.callers["admin"], "USER_RPC_URL": "http://" + rpc, "USER_RPC_TOKEN": s.callers["note"],
	}, errors.Join(err, err2, err3)
}

func (s *Spread) gatewaySettings(one, user service) (map[string]string, error) {
	users, err := s.via(one.name, "user", user.http)
	rpc, err2 := s.via(one.name, "user's keys", user.rpc)
	notes, err3 := s.via(one.name, "note", s.Notes.Addr)
	return map[string]string{
		"USER_HTTP_URL": "http://" + users, "NOTE_HTTP_URL": "http://" + notes, "USER_RPC_URL": "http://" + rpc,
		"WEB_DIR": filepath.Join(s.options.Dir, "web"),
	}, errors.Join(err, err2, err3)
}
