package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/user/server"
)

// starting is a replica whose start waits for something.
type starting struct {
	*world
	started chan error
	cancel  context.CancelFunc
}

// startWaiting begins to start a replica of the program, without the owner's URL, as it runs in a cluster.
func startWaiting(t *testing.T, db *pgtest.World, nats *natstest.Server) *starting {
	t.Helper()
	s := &starting{
		world:   &world{t: t, db: db, nats: nats, clock: &clock{}, spans: spantest.New(), logs: &lockedBuffer{}, http: &http.Client{Transport: &http.Transport{}}},
		started: make(chan error, 1),
	}
	t.Cleanup(s.http.CloseIdleConnections)
	s.cfg = s.config(func(c *server.Config) {
		c.Database.MigrateURL, c.Database.AcquireTimeout = "", 250*time.Millisecond
		c.OpsAddr = "127.0.0.1:0"
	})
	tel, err := telemetry.New(t.Context(), "user", config.Map(nil), s.logs)
	if err != nil {
		t.Fatal(err)
	}
	if s.server, err = server.New(t.Context(), s.cfg, tel); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(t.Context())
	go func() { s.started <- s.server.Start(ctx) }()
	t.Cleanup(func() { s.cancel(); s.stop(s.server) })
	s.eventually("the operations port", func() bool { return !strings.HasSuffix(s.server.OpsAddr(), ":0") })
	return s
}

func (s *starting) ops(path string) (int, string) {
	s.t.Helper()
	b := s.browser("default")
	b.addr = s.server.OpsAddr()
	a := b.get(path)
	return a.status, string(a.body)
}

// requireWaiting waits until the replica says what it waits for, and requires that it is alive and not ready meanwhile.
func (s *starting) requireWaiting(reason string) {
	s.t.Helper()
	s.eventually(reason, func() bool {
		status, why := s.ops("/readyz")
		if status == http.StatusOK {
			s.t.Fatalf("ready while %s", reason)
		}
		return strings.Contains(why, reason) && strings.Count(why, "\n") == 1
	})
	if status, _ := s.ops("/livez"); status != http.StatusOK {
		s.t.Errorf("/livez answers %d while %s", status, reason)
	}
}

func (s *starting) requireSaidOnce(reason string) {
	s.t.Helper()
	if said := strings.Count(s.logs.String(), reason); said != 1 {
		s.t.Errorf("%q is said %d times:\n%s", reason, said, s.logs)
	}
}

func (s *starting) requireReady() {
	s.t.Helper()
	s.eventually("to be ready", func() bool { status, _ := s.ops("/readyz"); return status == http.StatusOK })
}

func TestAReplicaWaitsForItsDatabaseAndItsSchemaAndGoesOnByItself(t *testing.T) {
	t.Parallel()
	db := pgtest.NewPrivate(t)
	db.Server.Kill()
	s := startWaiting(t, db, natstest.Start(t))
	s.requireWaiting("cannot be reached")
	if err := db.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.requireWaiting("nobody has run the migration yet")
	if err := pg.Migrate(t.Context(), db.Config, server.Migrations()...); err != nil {
		t.Fatal(err)
	}
	if err := <-s.started; err != nil {
		t.Fatal(err)
	}
	s.requireReady()
	s.apply("default")
	s.requireSaidOnce("cannot be reached")
	s.requireSaidOnce("nobody has run the migration yet")
	s.requireQuiet()
}

func TestAReplicaThatIsToldToStopWhileItWaitsStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := startWaiting(t, pgtest.New(t), natstest.Start(t))
	s.requireWaiting("nobody has run the migration yet")
	began := time.Now()
	s.cancel()
	if err := <-s.started; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "migration") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAReplicaIsNotReadyBeforeItHasReachedNATS(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	nats.Down(t)
	s := startWaiting(t, pgtest.New(t, server.Migrations()...), nats)
	if err := <-s.started; err != nil {
		t.Fatal(err)
	}
	s.requireWaiting("NATS has not been reached yet")
	s.apply("default") // who asks nevertheless is served
	s.requireSaidOnce("not connected")
	nats.Up(t)
	s.requireReady()
	nats.Down(t)
	s.requireReady() // from now on it does without
	nats.Up(t)
	s.requireQuiet()
}

func TestPasswordsHashedAtOnceFitIntoTheContainer(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for _, c := range []struct {
		cores  int
		memory int64
		want   int
	}{{8, 0, 8}, {64, 128 * mega, 3}, {64, 64 * mega, 1}, {2, 128 * mega, 2}, {4, 16 * mega, 1}, {16, 4096 * mega, 16}} {
		if got := server.PasswordsAtOnce(c.cores, c.memory); got != c.want {
			t.Errorf("%d cores and %d MiB: %d, not %d", c.cores, c.memory/mega, got, c.want)
		}
	}
}
