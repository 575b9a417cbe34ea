package server_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/natstest"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/user/server"
)

// TestAStoppedServerLeavesNothingBehind compares goroutines, so nothing may run beside it.
func TestAStoppedServerLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // see above
	db, nats := pgtest.New(t, server.Migrations()...), natstest.Start(t)
	w := &world{t: t, db: db, nats: nats, clock: &clock{}}
	cfg := w.config()
	start := func(s *server.Server) {
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	live := func(story func(*server.Server)) {
		s, err := server.New(t.Context(), cfg, discard(t))
		if err != nil {
			t.Fatal(err)
		}
		story(s)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for range 2 { // the second finds nothing to do
			if err := s.Stop(ctx); err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	}
	js := nats.Admin(t)
	live(func(s *server.Server) { // from here on the NATS server in this process has the streams, and their goroutines
		start(s)
		w.eventually("the stream", func() bool { return second(js.Stream(t.Context(), event.StreamUser)) == nil })
	})
	before := goleak.IgnoreCurrent()
	live(func(*server.Server) {})
	live(start)
	goleak.VerifyNone(t, before)
}
