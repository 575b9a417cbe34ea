package embeddednats_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/services/internal/embeddednats"
	"noteworks.dev/services/internal/event"
)

func start(t *testing.T, cfg embeddednats.Config) *embeddednats.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Users == nil {
		cfg.Users = []embeddednats.User{{Name: "all", Password: "secret"}}
	}
	s, err := embeddednats.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embeddednats.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, s *embeddednats.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.URL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestWhatIsStoredIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, embeddednats.Config{Dir: dir})
	js, err := jetstream.New(connect(t, first, nats.UserInfo("all", "secret")))
	if err != nil {
		t.Fatal(err)
	}
	cfg := jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage}
	_, created := js.CreateStream(t.Context(), cfg)
	_, published := js.Publish(t.Context(), "s", []byte("kept"))
	if err := errors.Join(created, published); err != nil {
		t.Fatal(err)
	}
	stop(t, first)
	stop(t, first) // again, without harm

	second := start(t, embeddednats.Config{Dir: dir, Port: first.Port()})
	if second.URL() != first.URL() {
		t.Errorf("now at %s, before at %s", second.URL(), first.URL())
	}
	js, err = jetstream.New(connect(t, second, nats.UserInfo("all", "secret")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, embeddednats.Config{})
	for name, opts := range map[string][]nats.Option{
		"nobody":         nil,
		"wrong password": {nats.UserInfo("all", "wrong")},
		"unknown user":   {nats.UserInfo("other", "secret")},
	} {
		nc, err := nats.Connect(s.URL(), opts...)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			nc.Close()
		}
	}
}

func TestUsersDoWhatTheirRightsSay(t *testing.T) {
	t.Parallel()
	rights := event.Rights{Publish: []string{"mine.>"}, Subscribe: []string{"mine.>"}}
	s := start(t, embeddednats.Config{Users: []embeddednats.User{{Name: "some", Password: "secret", Rights: &rights}}})
	refused := make(chan error, 4)
	nc := connect(t, s, nats.UserInfo("some", "secret"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	sub, err := nc.SubscribeSync("mine.a")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("mine.a", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.NextMsg(10 * time.Second); err != nil {
		t.Error(err)
	}
	if err := nc.Publish("yours.a", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("allowed")
	}
}

func TestATakenPortIsSaid(t *testing.T) {
	t.Parallel()
	first := start(t, embeddednats.Config{})
	_, err := embeddednats.Start(t.Context(), embeddednats.Config{Dir: t.TempDir(), Port: first.Port()})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v", err)
	}
}

func TestAnUnusableDirectoryIsSaid(t *testing.T) {
	t.Parallel()
	_, err := embeddednats.Start(t.Context(), embeddednats.Config{Dir: "/dev/null/here"})
	if err == nil || !strings.Contains(err.Error(), "/dev/null/here") {
		t.Errorf("error %v", err)
	}
}

func TestItIsQuiet(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	s := start(t, embeddednats.Config{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	connect(t, s, nats.UserInfo("all", "secret")).Close()
	stop(t, s)
	if lines.Len() > 0 {
		t.Errorf("it says:\n%s", lines.String())
	}
}
