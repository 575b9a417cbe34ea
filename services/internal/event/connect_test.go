package event_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/embeddednats"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/telemetry"
)

func TestNATSMayComeLater(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	server.Down(t)
	log := &said{}
	bus := server.Bus(t, "note", log.telemetry(t))
	if is, _ := bus.Connected(); is {
		t.Error("connected to nothing")
	}
	log.await(t, "connection refused")
	if err := bus.Ready(); err == nil || !strings.Contains(err.Error(), "NATS has not been reached yet") {
		t.Errorf("a process that has never reached it is ready: %v", err)
	}
	if bus.HasWaited(31 * time.Second); bus.Ready() != nil {
		t.Errorf("NATS is away for all, and the process still waits: %v", bus.Ready())
	}
	server.Up(t)
	connected(t, bus)
	publish(t, bus, 1)
	if n := log.count(t, "connection refused"); n != 1 {
		t.Errorf("it was said %d times: %s", n, log.text())
	}
	server.Down(t)
	until(t, "the connection is gone", func() bool { is, _ := bus.Connected(); return !is })
	if err := bus.Ready(); err != nil {
		t.Errorf("after it was there once: %v", err)
	}
	server.Up(t)
}

// The library holds its lock while it waits for a server that says nothing.
func TestAPingWaitsForNobody(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	tries := make(chan net.Conn, 8)
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			tries <- conn
		}
	}()
	go func() { _ = (<-tries).Close() }() // the first try is Connect's own
	bus, err := event.Connect(t.Context(), event.Config{URL: "nats://" + silent.Addr().String(), Name: "note"}, (&said{}).telemetry(t))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	defer func() { _ = (<-tries).Close() }()
	second := <-tries
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		for range 1000 {
			bus.Ping("note")
		}
	}()
	select {
	case <-pinged:
	case <-time.After(time.Second): // the try takes two
		t.Error("pings wait for the end of a try to connect")
	}
	_ = second.Close()
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

// said is a log.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }

func (s *said) text() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func (s *said) telemetry(t *testing.T) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), "note", config.Map(nil), s)
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

func (s *said) count(t *testing.T, text string) int {
	t.Helper()
	return strings.Count(s.text(), text)
}

func (s *said) await(t *testing.T, text string) {
	t.Helper()
	until(t, "the log says "+text, func() bool { return s.count(t, text) > 0 })
}

// nats.go closes for good after two equal auth errors unless told otherwise.
func TestRefusedCredentialsAreTriedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(port int, password string) *embeddednats.Server {
		s, err := embeddednats.Start(t.Context(), embeddednats.Config{Dir: dir, Port: port, Users: []embeddednats.User{{Name: "note", Password: password}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Stop(context.Background()) })
		return s
	}
	first := start(0, "new")
	file := filepath.Join(t.TempDir(), "password")
	writePassword(t, file, "wrong")
	log := &said{}
	bus, err := event.Connect(t.Context(), event.Config{URL: first.URL(), User: "note", PasswordFile: file, Name: "note"}, log.telemetry(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // several refusals
	defer cancel()
	if err := bus.Await(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("connected with a wrong password: %v", err)
	}
	if err := bus.Ready(); err == nil || !strings.Contains(err.Error(), "uthorization") {
		t.Errorf("ready with a wrong password: %v", err)
	}
	if n := strings.Count(log.text(), "\n"); n != 1 || log.count(t, "uthorization") == 0 {
		t.Errorf("said in %d lines: %s", n, log.text())
	}
	writePassword(t, file, "new\n")
	connected(t, bus)

	// Rotated on both sides while connected.
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	writePassword(t, file, "newer")
	start(first.Port(), "newer")
	available(t, bus)
	publish(t, bus, 1)
}

func writePassword(t *testing.T, file, password string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAServicePublishesOnlyItsOwnFacts(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	note, user := server.Bus(t, "note", telemetry.Discard()), server.Bus(t, "user", telemetry.Discard())
	connected(t, note)
	connected(t, user)
	publish(t, note, 1)

	end, err := note.EndOf(t.Context(), event.StreamNote)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := user.Chain(event.StreamNote, end)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	if err := chain.Publish(t.Context(), noteEvent(t, 0, 2, end.Cursor), func(error) {}); err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []func(context.Context) error{
		func(ctx context.Context) error { return chain.Drain(ctx) },
		func(ctx context.Context) error { return user.Empty(ctx, event.StreamNote) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := forbidden(ctx); err == nil {
			t.Error("the user service may touch the note service's stream")
		}
		cancel()
	}
	if got := read(t, note, event.StreamNote); len(got) != 1 {
		t.Errorf("%d messages, want the one of the note service", len(got))
	}
}

func TestDriftIsCorrected(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	bus := server.Bus(t, "note", telemetry.Discard())
	connected(t, bus)
	if err := bus.EnsureStream(t.Context(), event.StreamNote); err != nil {
		t.Fatal(err)
	}
	js := server.Admin(t)
	want := streamConfig(t, js)
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"max age":     func(c *jetstream.StreamConfig) { c.MaxAge = time.Second },
		"discard":     func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"subjects":    func(c *jetstream.StreamConfig) { c.Subjects = []string{"x"} },
		"per subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"bytes":       func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 },
		"no ack":      func(c *jetstream.StreamConfig) { c.NoAck = true },
		"transform": func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "ws.*.note.v1.>", Destination: "elsewhere.{{wildcard(1)}}.>"}
		},
	} {
		changed := want
		change(&changed)
		if _, err := js.UpdateStream(t.Context(), changed); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := bus.EnsureStream(t.Context(), event.StreamNote); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := streamConfig(t, js); got.MaxAge != want.MaxAge || got.Discard != want.Discard || got.Subjects[0] != want.Subjects[0] ||
			got.MaxMsgsPerSubject != want.MaxMsgsPerSubject || got.MaxBytes != want.MaxBytes || got.NoAck || got.SubjectTransform != nil {
			t.Errorf("%s is not corrected: %+v", name, got)
		}
	}
}

func streamConfig(t *testing.T, js jetstream.JetStream) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), event.StreamNote)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config
}

func TestUndeclaredThingsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := event.StreamConfig("OTHER", 0); err == nil {
		t.Error("an undeclared stream")
	}
	if _, err := event.RightsOf("other"); err == nil {
		t.Error("rights of an undeclared service")
	}
	if _, err := event.Connect(t.Context(), event.Config{URL: "nats://127.0.0.1:1", Name: "a.b"}, telemetry.Discard()); err == nil {
		t.Error("a name of two tokens")
	}
	if _, err := event.Connect(t.Context(), event.Config{URL: "nats://%zz", Name: "a"}, telemetry.Discard()); err == nil {
		t.Error("a URL that is none")
	}
}

func TestPingsReachTheOtherReplica(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	one, other := server.Bus(t, "note", telemetry.Discard()), server.Bus(t, "note", telemetry.Discard())
	connected(t, one)
	connected(t, other)
	heard, ordered := make(chan struct{}, 1), make(chan struct{}, 1)
	say := map[uint64]chan struct{}{0: heard, 17: ordered}
	stop, err := one.OnPing("note", func(refill uint64) {
		select {
		case say[refill] <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for heard != nil || ordered != nil {
		other.Ping("note")
		if err := other.OrderRefill("note", 17); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
			heard = nil
		case <-ordered:
			ordered = nil
		case <-tick.C: // the subscription may still be on its way
		case <-limit:
			t.Fatal("not heard")
		}
	}
}
