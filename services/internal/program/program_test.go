package program_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/internal/telemetry"
)

type settings struct {
	Name  string        `env:"NAME,required"`
	Grace time.Duration `env:"GRACE" envDefault:"3s"`
}

// service notes what is done to it.
type service struct {
	did     []string
	started chan struct{}
	fails   error
	grace   time.Duration // what Stop was given
}

func newService() *service { return &service{started: make(chan struct{})} }

func (s *service) build(_ context.Context, cfg settings, _ *telemetry.Telemetry) (*service, error) {
	s.did = append(s.did, "build "+cfg.Name)
	return s, nil
}

func (s *service) Start(context.Context) error {
	s.did = append(s.did, "start")
	close(s.started)
	return s.fails
}

func (s *service) Stop(ctx context.Context) error {
	s.did = append(s.did, "stop")
	if end, ok := ctx.Deadline(); ok {
		s.grace = time.Until(end)
	}
	return ctx.Err()
}

func grace(s settings) time.Duration { return s.Grace }

func TestAProgramServesUntilItsContextEndsAndIsGivenItsGraceToStop(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx, end := context.WithCancel(t.Context())
	go func() {
		<-s.started
		end()
	}()
	if err := program.Serve(ctx, "note", config.Map(map[string]string{"NAME": "n"}), io.Discard, s.build, grace); err != nil {
		t.Fatal(err)
	}
	if want := []string{"build n", "start", "stop"}; !slices.Equal(s.did, want) {
		t.Errorf("did %q, not %q", s.did, want)
	}
	if s.grace <= 2*time.Second || s.grace > 3*time.Second {
		t.Errorf("was given %v to stop, not 3s", s.grace)
	}
}

func TestAProgramWithASettingMissingSaysWhichAndStartsNothing(t *testing.T) {
	t.Parallel()
	s := newService()
	err := program.Serve(t.Context(), "note", config.Map(nil), io.Discard, s.build, grace)
	if err == nil || !strings.Contains(err.Error(), "NAME") || len(s.did) > 0 {
		t.Errorf("error %v after %q", err, s.did)
	}
}

func TestAFailedStartIsReportedAndNotStoppedTwice(t *testing.T) {
	t.Parallel()
	s := newService()
	s.fails = errors.New("the port is taken")
	_, err := program.Start(t.Context(), "note", config.Map(map[string]string{"NAME": "n"}), io.Discard, s.build)
	if !errors.Is(err, s.fails) || !slices.Equal(s.did, []string{"build n", "start"}) {
		t.Errorf("error %v after %q", err, s.did)
	}
}
