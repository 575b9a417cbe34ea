package main

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"noteworks.dev/test/client"
	"noteworks.dev/test/faults/crew"
	"noteworks.dev/test/faults/history"
)

const killsAtRandom = "services killed at random"

// processes are faults of the services themselves.
func processes() []scenario {
	return []scenario{
		{
			name: killsAtRandom, row: "a service killed (SIGKILL) between commit and publish; between publish ack and mark",
			quick: true, lasts: 25 * time.Second, lastsShort: 4 * time.Second,
			breaks: nothing, during: killAtRandom, within: 15 * time.Second,
		},
		{
			name: "the relaying note replica killed", row: "two replicas of a service, one killed while relaying",
			quick: true, lasts: 15 * time.Second, lastsShort: 3 * time.Second, breaks: killRelay, heals: startAll, within: 5 * time.Second,
		},
		{
			name: "the relaying note replica hangs", row: "two replicas of a service, one killed while relaying: it hangs, and holds on to what it has",
			lasts: 45 * time.Second, breaks: nothing, during: hangRelay, heals: awaken, holds: deadlinesHonoured,
		},
		{
			name: "the user service down", row: "the user service down",
			quick: true, lasts: 4 * time.Minute, lastsShort: 3 * time.Second,
			breaks: func(_ context.Context, r *round) error { r.Process("user").Kill(); return nil },
			during: signInIsUnavailable, heals: startAll, holds: writesWentOn,
		},
		{
			name: "a gateway killed", row: "gateway killed",
			quick: true, lasts: 5 * time.Second, lastsShort: 2 * time.Second,
			breaks: func(_ context.Context, r *round) error { r.Process(r.pick("gateway")).Kill(); return nil },
			heals:  startAll, within: 10 * time.Second,
		},
		{
			name: "a gateway with 2,000 sockets stopped", row: "gateway told to stop with 2,000 sockets",
			lasts: 15 * time.Second, pace: crew.Pace{Notes: 2, Every: time.Second},
			breaks: nothing, during: stopCrowded, heals: startAll, within: 10 * time.Second,
		},
		{
			name: "a gateway with 2,000 sockets killed", row: "gateway killed",
			lasts: 15 * time.Second, pace: crew.Pace{Notes: 2, Every: time.Second},
			breaks: nothing, during: killCrowded, heals: startAll, within: 10 * time.Second,
		},
		{
			name: "every service told to stop", row: "clean shutdown under load",
			lasts: 12 * time.Second, breaks: nothing, during: stopEach,
		},
	}
}

func nothing(context.Context, *round) error { return nil }

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

// hangRelay stops the one that relays where it is. Its connections stay, and so do the locks of its sessions.
func hangRelay(ctx context.Context, r *round) error {
	name, err := r.relay(patient(ctx, 10*time.Second))
	if err != nil {
		return err
	}
	r.Process(name).Signal(syscall.SIGSTOP)
	began := time.Now()
	heir, err := r.relay(patient(ctx, 40*time.Second))
	if err != nil {
		return err
	}
	r.check(heir != name, "the other one relays after %v", time.Since(began).Round(100*time.Millisecond))
	return nil
}

// awaken lets what hangs go on.
func awaken(ctx context.Context, r *round) error {
	for _, name := range r.Names("") {
		r.Process(name).Signal(syscall.SIGCONT)
	}
	return r.Await(patient(ctx, time.Minute))
}

// signInIsUnavailable tries to sign in all the while.
func signInIsUnavailable(ctx context.Context, r *round) error {
	tries := 0
	for end := time.Now().Add(r.lasts() - time.Second); tries < 3 || time.Now().Before(end); tries++ {
		began := time.Now()
		err := r.crew.SignIn(ctx)
		if client.StatusOf(err) != http.StatusServiceUnavailable {
			return fmt.Errorf("sign-in is answered %w", err)
		}
		if took := time.Since(began); took > 2*time.Second*r.leniency() {
			return fmt.Errorf("sign-in was refused after %v", took)
		}
		wait(ctx, 300*time.Millisecond)
	}
	r.check(true, "sign-in answers 503, %d times", tries)
	return nil
}

// writesWentOn: whoever wrote while it was broken was answered as ever. On a machine that does all of it at once, one in a hundred may have to be
// tried again.
func writesWentOn(_ context.Context, r *round) error {
	acknowledged, failed := r.outcomes()
	r.check(acknowledged > 0 && failed*100 <= acknowledged, "%d writes meanwhile, %d failed", acknowledged, failed)
	return nil
}

// outcomes are the writes that began while it was broken.
func (r *round) outcomes() (acknowledged, failed int) {
	for _, w := range r.writesDuring() {
		switch w.Outcome {
		case history.Acknowledged:
			acknowledged++
		case history.Unknown:
			failed++
		case history.Refused:
		}
	}
	return acknowledged, failed
}

// sockets are held by the crowd.
const sockets = 2000

// crowded opens the sockets, lets what does it happen, and requires that all are there again within 10 s, spread out, and have missed nothing.
func crowded(ctx context.Context, r *round, happens func(gateway string) error) error {
	crowd := r.shift.Crowd(ctx, sockets)
	defer crowd.Close()
	if err := crowd.Open(patient(ctx, time.Minute)); err != nil {
		return err
	}
	wait(ctx, 2*time.Second)
	began := time.Now()
	if err := happens(r.pick("gateway")); err != nil {
		return err
	}
	lost, all, busiest, err := crowd.Returned(patient(ctx, 30*time.Second), began)
	if err != nil {
		return err
	}
	r.check(all < 10*time.Second, "%d of %d sockets came back within %v", lost, sockets, all.Round(100*time.Millisecond))
	r.check(lost < 100 || busiest < lost/2, "at most %d of them in one tenth of a second", busiest)
	if err := crowd.CaughtUp(patient(ctx, 15*time.Second)); err != nil {
		return err
	}
	r.check(crowd.Gaps() == 0, "changes that one of them missed: %d", crowd.Gaps())
	return nil
}

func stopCrowded(ctx context.Context, r *round) error {
	return crowded(ctx, r, func(gateway string) error {
		p := r.Process(gateway)
		p.Signal(syscall.SIGTERM)
		return nil
	})
}

func killCrowded(ctx context.Context, r *round) error {
	return crowded(ctx, r, func(gateway string) error { r.Process(gateway).Kill(); return nil })
}

// stopEach stops and starts each service as a rollout does, one after the other.
func stopEach(ctx context.Context, r *round) error {
	for _, name := range r.Names("") {
		p := r.Process(name)
		if err := p.Stop(); err != nil {
			return fmt.Errorf("%s does not stop well: %w", name, err)
		}
		if err := p.Start(ctx); err != nil {
			return err
		}
	}
	r.check(true, "each ended with 0")
	return nil
}
