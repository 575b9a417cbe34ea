package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"noteworks.dev/test/client"
	"noteworks.dev/test/faults/history"
)

const killsAtRandom = "services killed at random"

// processes are faults of the services themselves.
func processes() []scenario {
	return []scenario{
		{
			name: killsAtRandom, row: "a service killed (SIGKILL) between commit and publish; between publish ack and mark",
			quick: true, lasts: 25 * time.Second, lastsShort: 4 * time.Second,
			breaks: func(context.Context, *round) error { return nil }, during: killAtRandom, within: 15 * time.Second,
		},
		{
			name: "the relaying note replica killed", row: "two replicas of a service, one killed while relaying",
			quick: true, lasts: 15 * time.Second, lastsShort: 3 * time.Second, breaks: killRelay, heals: startAll, within: 5 * time.Second,
		},
		{
			name: "the user service down", row: "the user service down",
			quick: true, lasts: 30 * time.Second, lastsShort: 3 * time.Second,
			breaks: func(_ context.Context, r *round) error { r.Process("user").Kill(); return nil },
			during: signInIsUnavailable, heals: startAll, holds: signedInPeopleWentOn,
		},
		{
			name: "a gateway killed", row: "gateway killed",
			quick: true, lasts: 5 * time.Second, lastsShort: 2 * time.Second,
			breaks: func(_ context.Context, r *round) error { r.Process(r.pick("gateway")).Kill(); return nil },
			heals:  startAll, within: 10 * time.Second,
		},
	}
}

// pick is one of the processes of a kind.
func (r *round) pick(kind string) string {
	names := r.Names(kind)
	return names[r.random.IntN(len(names))]
}

// killAtRandom kills one service after the other and starts it again at once.
func killAtRandom(ctx context.Context, r *round) error {
	kills := 0
	for end := time.Now().Add(r.lasts()); time.Now().Before(end); kills++ {
		wait(ctx, time.Duration(200+r.random.IntN(800))*time.Millisecond)
		p := r.Process(r.pick([]string{"note", "note", "note", "user", "gateway"}[r.random.IntN(5)]))
		p.Kill()
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	r.check(kills > 0, "%d kills", kills)
	return nil
}

// startAll starts what does not run.
func startAll(ctx context.Context, r *round) error {
	ctx = patient(ctx, time.Minute)
	for _, name := range append(r.Names("nats"), r.Names("")...) {
		if p := r.Process(name); !p.Running() {
			if err := p.Launch(); err != nil {
				return err
			}
		}
	}
	return r.Await(ctx)
}

// relay is the note replica that publishes at present.
func (r *round) relay(ctx context.Context) (string, error) {
	for ctx.Err() == nil {
		for _, name := range r.Names("note") {
			if v, err := r.metric(ctx, name, "relay_leader"); err == nil && v == 1 {
				return name, nil
			}
		}
		wait(ctx, 50*time.Millisecond)
	}
	return "", fmt.Errorf("nobody relays: %w", ctx.Err())
}

func killRelay(ctx context.Context, r *round) error {
	name, err := r.relay(patient(ctx, 10*time.Second))
	if err != nil {
		return err
	}
	r.Process(name).Kill()
	heir, err := r.relay(patient(ctx, 15*time.Second))
	if err != nil {
		return err
	}
	r.check(heir != name, "the other one relays")
	return nil
}

func signInIsUnavailable(ctx context.Context, r *round) error {
	var err error
	for range 5 {
		began := time.Now()
		err = r.crew.SignIn(ctx)
		if client.StatusOf(err) != http.StatusServiceUnavailable {
			break
		}
		if took := time.Since(began); took > 2*time.Second*r.leniency() {
			return fmt.Errorf("sign-in was refused after %v", took)
		}
	}
	r.check(client.StatusOf(err) == http.StatusServiceUnavailable, "sign-in answers 503 (%d)", client.StatusOf(err))
	return nil
}

func signedInPeopleWentOn(_ context.Context, r *round) error {
	acknowledged, other := 0, 0
	for _, w := range r.writesDuring() {
		switch w.Outcome {
		case history.Acknowledged:
			acknowledged++
		case history.Unknown:
			other++
		case history.Refused:
		}
	}
	r.check(acknowledged > 0 && other == 0, "people who were signed in wrote %d times, %d failed", acknowledged, other)
	return nil
}
