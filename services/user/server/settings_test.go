package server_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/user/server"
)

// eventually polls what cannot be waited for otherwise.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	w.within(patience, what, is)
}

// within is eventually, for what is promised in time.
func (w *world) within(limit time.Duration, what string, is func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("waited %s for %s", limit, what)
		}
	}
}

// enough are the settings that must be given.
func enough() map[string]string {
	return map[string]string{
		"DATABASE_URL": "postgres://user:secret-of-the-database@127.0.0.1:1/user",
		"RPC_CALLERS":  "operator=" + operatorToken,
	}
}

func TestOddSettingsEndTheProgramAtOnceByTheirName(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for name, c := range map[string]struct{ setting, value string }{
		"no database":                  {"DATABASE_URL", ""},
		"no database URL":              {"DATABASE_URL", "mysql:/x"},
		"a database file missing":      {"DATABASE_URL_FILE", missing},
		"no callers":                   {"RPC_CALLERS", ""},
		"callers without tokens":       {"RPC_CALLERS", "operator"},
		"a caller with a short token":  {"RPC_CALLERS", "operator=x"},
		"callers in a missing file":    {"RPC_CALLERS_FILE", missing},
		"a life of no duration":        {"ACCESS_TOKEN_LIFE", "5"},
		"a life of nothing":            {"ACCESS_TOKEN_LIFE", "0s"},
		"a life of a day":              {"ACCESS_TOKEN_LIFE", "24h"},
		"a session of nothing":         {"SESSION_LIFE", "-1h"},
		"a session idle for nothing":   {"SESSION_IDLE", "0s"},
		"keys older than their lead":   {"SIGNING_KEY_MAX_AGE", "30s"},
		"a key that signs too early":   {"SIGNING_KEY_LEAD", "1s"},
		"a rate of no number":          {"RATE_LIMIT_ADDRESS_PER_MINUTE", "many"},
		"a rate of nothing":            {"RATE_LIMIT_ADDRESS_PER_MINUTE", "0"},
		"a burst of nothing":           {"RATE_LIMIT_ACCOUNT_BURST", "0"},
		"an account's rate of nothing": {"RATE_LIMIT_ACCOUNT_PER_MINUTE", "-1"},
		"a negative queue":             {"PASSWORD_QUEUE", "-1"},
		"negative cores":               {"PASSWORD_PARALLEL", "-1"},
		"a proxy that is no network":   {"TRUSTED_PROXIES", "proxy.example.org"},
		"a note service and no token":  {"NOTE_RPC_URL", "http://note:8082"},
		"too few connections":          {"DATABASE_MAX_CONNS", "1"},
		"connections of no number":     {"DATABASE_MAX_CONNS", "x"},
		"a grace of no duration":       {"SHUTDOWN_GRACE", "soon"},
		"a log level that is none":     {"LOG_LEVEL", "loud"},
		"an exporter that is none":     {"OTEL_TRACES_EXPORTER", "paper"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := enough()
			if base, isFile := strings.CutSuffix(c.setting, "_FILE"); isFile {
				delete(settings, base)
			}
			settings[c.setting] = c.value
			err := server.Run(t.Context(), config.Map(settings), io.Discard)
			named := strings.TrimSuffix(c.setting, "_FILE")
			if c.setting == "NOTE_RPC_URL" {
				named = "NOTE_RPC_TOKEN"
			}
			if err == nil || !strings.Contains(err.Error(), named) || !strings.Contains(err.Error(), "should") {
				t.Fatalf("Run = %v; want %s named, and what it should be", err, named)
			}
			if strings.Contains(err.Error(), "secret-of-the-database") || strings.Contains(err.Error(), operatorToken) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestAMissingSettingIsNamed(t *testing.T) {
	t.Parallel()
	for name := range enough() {
		settings := enough()
		delete(settings, name)
		if err := server.Run(t.Context(), config.Map(settings), io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	cfg := w.cfg
	cfg.HTTPAddr = w.server.HTTPAddr()
	s, err := server.New(t.Context(), cfg, discard(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), cfg.HTTPAddr) {
		t.Errorf("Start = %v", err)
	}
}

func TestTheProgramRunsFromItsEnvironmentAndEndsCleanly(t *testing.T) {
	t.Parallel()
	db, nats := pgtest.New(t), natstest.Start(t)
	settings := map[string]string{
		"HTTP_ADDR": "127.0.0.1:0", "RPC_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0",
		"DATABASE_URL": db.Config.URL.Reveal(), "MIGRATE_DATABASE_URL": db.Config.MigrateURL.Reveal(),
		"NATS_URL": nats.URL, "NATS_USER": "user", "NATS_PASSWORD": natstest.Password,
		"RPC_CALLERS": "operator=" + operatorToken,
	}
	ctx, stop := context.WithCancel(t.Context())
	logs := &lockedBuffer{}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, config.Map(settings), logs) }()
	w := &world{t: t, logs: logs}
	w.eventually("the service to be up", func() bool { return strings.Contains(logs.String(), "user service is up") })
	db.RequireRowSecurity(t)
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run = %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	w.requireQuiet()
}

func TestItServesWithoutNATSAndTellsLater(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.nats.Down(t)
	ann := w.signUp("Ann")
	b := w.browser("default")
	b.addr = w.server.OpsAddr()
	b.get("/readyz").require(t, http.StatusOK)
	w.nats.Up(t)
	heard := w.listen()
	w.eventually("the event to be published", func() bool { return heard.has("user.v1.UserRegistered", ann.user.ID) })
}

func TestAReplicaStartsWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.nats.Down(t)
	replica := w.start(w.cfg)
	b := w.browser("default") // ready or not: TestAReplicaIsNotReadyBeforeItHasReachedNATS
	b.addr = replica.HTTPAddr()
	b.register("Ann").require(t, http.StatusCreated)
	w.nats.Up(t)
}

// What is promised of an outage: an answer within 300 ms, here twice that as other tests run beside, and service again within 15 s of the database's return.
const (
	toldWithin = 600 * time.Millisecond
	backWithin = 15 * time.Second
)

func TestADatabaseThatIsAwayIsSaidSoAtOnceAndComesBack(t *testing.T) {
	t.Parallel()
	w := startOn(t, pgtest.NewPrivate(t, server.Migrations()...), func(c *server.Config) { c.Database.AcquireTimeout = 250 * time.Millisecond })
	ann := w.signUp("Ann")
	read := func() *answer { return ann.get("/api/v1/me") }
	refresh := func() *answer { return ann.refresh() }
	// unavailable requires of an answer that is not the wanted one that it says so, soon, and takes nothing away.
	unavailable := func(a *answer, took time.Duration) {
		t.Helper()
		a.refused(t, http.StatusServiceUnavailable, "database-unavailable")
		if a.header.Get("Retry-After") == "" || len(a.cookies()) != 0 || took > toldWithin {
			t.Errorf("%s after %v: Retry-After %q, cookies %v", a.what, took, a.header.Get("Retry-After"), a.cookies())
		}
	}
	away := func() {
		t.Helper()
		for _, ask := range []func() *answer{read, func() *answer { return w.browser("default").login("ann@example.org", password) }, refresh} {
			began := time.Now()
			unavailable(ask(), time.Since(began))
		}
	}
	back := func() {
		t.Helper()
		returned := time.Now()
		for _, ask := range []func() *answer{read, refresh, read} {
			w.within(backWithin-time.Since(returned), "the database to be back", func() bool {
				began := time.Now()
				a := ask()
				if a.status != http.StatusOK {
					unavailable(a, time.Since(began))
				}
				return a.status == http.StatusOK
			})
		}
	}
	w.db.Server.Freeze()
	away()
	w.db.Server.Thaw()
	back()
	w.db.Server.Kill()
	w.eventually("the connections that were open to be gone, too", func() bool { return read().status != http.StatusOK })
	away()
	if err := w.db.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back()
}
