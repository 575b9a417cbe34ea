package event_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

// On three servers a stream is kept on each, so that one may go; settings that say nothing leave what somebody chose.
func TestStreamsAreKeptOnAsManyServersAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	servers := startCluster(t, 3)
	bus := func(replicas int) *event.Bus {
		b, err := event.Connect(t.Context(), event.Config{URL: servers[0].ClientURL(), Name: "note", StreamReplicas: replicas}, telemetry.Discard())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		connected(t, b)
		return b
	}
	for _, c := range []struct{ set, want int }{{1, 1}, {3, 3}, {0, 3}, {1, 1}} {
		b := bus(c.set)
		ensure(t, b)
		if got := replicas(t, servers); got != c.want {
			t.Errorf("set to %d, the stream has %d replicas; want %d", c.set, got, c.want)
		}
	}

	b := bus(3)
	ensure(t, b)
	replicas(t, servers)
	servers[2].Shutdown()
	servers[2].WaitForShutdown()
	ensure(t, b)
	within(t, func(ctx context.Context) error { return tryPublish(ctx, t, b, 1) }) // the stream has a leader of its own to choose
}

// ensure tries for a while: a cluster that has just come up or lost a server has to choose a leader first.
func ensure(t *testing.T, b *event.Bus) {
	t.Helper()
	within(t, func(ctx context.Context) error { return b.EnsureStream(ctx, event.StreamNote) })
}

// replicas is how many there are, once all of them have what the first one has.
func replicas(t *testing.T, servers []*server.Server) (n int) {
	t.Helper()
	nc, err := nats.Connect(servers[0].ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	within(t, func(ctx context.Context) error {
		stream, err := js.Stream(ctx, event.StreamNote)
		if err != nil {
			return err
		}
		info := stream.CachedInfo()
		n = info.Config.Replicas
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != n-1 {
			return fmt.Errorf("%d replicas are not there yet", n)
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current {
				return fmt.Errorf("replica %s is behind", r.Name)
			}
		}
		return nil
	})
	return n
}

// within tries for a minute. A question that meets an election is never answered: so each try has a time of its own.
func within(t *testing.T, do func(context.Context) error) {
	t.Helper()
	const each = 2 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, each)
		err := do(try)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("not within a minute: %v", err)
		}
	}
}

// startCluster starts servers with JetStream that know each other.
func startCluster(t *testing.T, n int) []*server.Server {
	t.Helper()
	ports := make([]int, n)
	var routes []*url.URL
	for i := range ports {
		var l net.ListenConfig
		probe, err := l.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = probe.Close() }()
		at, ok := probe.Addr().(*net.TCPAddr)
		if !ok {
			t.Fatal("not a TCP address")
		}
		ports[i] = at.Port
		routes = append(routes, &url.URL{Scheme: "nats", Host: probe.Addr().String()})
		_ = probe.Close()
	}
	servers := make([]*server.Server, n)
	for i := range servers {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("nats-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 64 << 20,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		servers[i] = s
	}
	within(t, func(context.Context) error {
		for _, s := range servers {
			if !s.ReadyForConnections(time.Second) || !s.JetStreamIsCurrent() {
				return fmt.Errorf("the servers have not found each other")
			}
		}
		return nil
	})
	return servers
}
