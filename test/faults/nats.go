package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/test/faults/link"
	"noteworks.dev/test/local"
)

// natsFaults are faults of NATS and of the way there.
func natsFaults() []scenario {
	return []scenario{
		{
			name: "NATS down", row: "NATS down for 10 min",
			quick: true, lasts: 10 * time.Minute, lastsShort: 4 * time.Second, hushed: true,
			breaks: killNATS, during: degraded, heals: startAll, holds: writesWentOn,
		},
		{
			name: "NATS down at start", row: "NATS down at start",
			lasts: 45 * time.Second, breaks: startWithoutNATS, during: degraded, heals: startAll,
		},
		{
			name: "NATS killed, its files truncated", row: "NATS killed and its files truncated",
			lasts: 2 * time.Second, breaks: killNATS, during: truncateFiles, heals: startAll, holds: writesWentOn,
		},
		{
			name: "NATS killed, its files deleted", row: "NATS killed and its files truncated, to nothing",
			lasts: 2 * time.Second, breaks: killNATS, heals: startAll, holds: writesWentOn,
			during: func(_ context.Context, r *round) error { return os.RemoveAll(r.NATSDir("nats-1")) },
		},
		{
			name: "a stream deleted", row: "the stream deleted",
			lasts: time.Second, breaks: deleteStream, holds: writesWentOn, within: time.Minute,
		},
		{
			name: "a stream edited by hand", row: "its configuration changed by hand",
			lasts: 60 * time.Second, breaks: nothing, during: editStream, holds: writesWentOn,
		},
		{
			name: "messages deleted before they are read", row: "the stream loses what no gateway has seen yet, by hand",
			lasts: 15 * time.Second, breaks: nothing, during: deleteUnread, heals: healLinks, mayResync: true, holds: writesWentOn,
		},
		{
			name: "NATS refuses the credentials, then takes them", row: "auth error twice, then good credentials",
			lasts: 12 * time.Second, breaks: func(_ context.Context, r *round) error { return r.RotateNATS(false) }, during: degraded,
			heals: func(_ context.Context, r *round) error { return r.TellNATSPasswords() }, holds: writesWentOn,
		},
		{
			name: "NATS's credentials rotated on disk", row: "credentials rotated on disk",
			lasts: 5 * time.Second, breaks: func(_ context.Context, r *round) error { return r.RotateNATS(true) }, holds: writesWentOn,
		},
		{
			name: "one of three NATS servers killed", row: "NATS killed: one of three servers", own: true,
			shape: func(_ *world, o *local.SpreadOptions) error {
				o.NATS = 3
				o.Settings["NATS_STREAM_REPLICAS"] = "3"
				return nil
			},
			lasts: 20 * time.Second, lastsShort: 5 * time.Second,
			breaks: func(_ context.Context, r *round) error { r.Process(r.pick("nats")).Kill(); return nil },
			heals:  startAll, holds: writesWentOn,
		},
		{
			name: "a consumer slower than the producer", row: "a consumer slower than the producer for 10 min",
			lasts: 10 * time.Minute, lastsShort: 15 * time.Second,
			breaks: func(_ context.Context, r *round) error {
				return r.links.Poison(r.links.Match("note-* to nats-1"), link.Narrow(8))
			},
			during: lagRises, heals: healLinks, within: time.Minute, holds: writesWentOn,
		},
	}
}

func killNATS(_ context.Context, r *round) error { r.Process("nats-1").Kill(); return nil }

func healLinks(_ context.Context, r *round) error { return r.links.Heal() }

// degraded: a metric says that NATS is away; readiness stays.
func degraded(ctx context.Context, r *round) error {
	for _, name := range r.Names("") {
		if err := r.eventually(patient(ctx, 15*time.Second), name, "nats_connected", func(v float64) bool { return v == 0 }); err != nil {
			return err
		}
	}
	wait(ctx, r.lasts()-(r.shift.Now()-r.broken)-500*time.Millisecond)
	for _, name := range r.Names("") {
		ready, err := r.metric(ctx, name, "noteworks_ready")
		if err != nil {
			return err
		}
		if ready != 1 {
			return fmt.Errorf("%s is not ready", name)
		}
	}
	r.check(true, "all are ready, and say that NATS is away")
	return nil
}

// startWithoutNATS stops everything and starts the services alone: they are ready after a while, and serve.
func startWithoutNATS(ctx context.Context, r *round) error {
	r.Process("nats-1").Kill()
	for _, name := range r.Names("") {
		if err := r.Process(name).Stop(); err != nil {
			return err
		}
	}
	began := time.Now()
	for _, name := range r.Names("") {
		if err := r.Process(name).Launch(); err != nil {
			return err
		}
	}
	ctx = patient(ctx, time.Minute)
	for _, name := range r.Names("") {
		if err := r.Process(name).Await(ctx); err != nil {
			return err
		}
	}
	r.check(true, "ready after %v", time.Since(began).Round(time.Second))
	return nil
}

// truncateFiles cuts the newest file of each stream to a random share, and removes the index that knows better.
func truncateFiles(_ context.Context, r *round) error {
	newest := map[string]string{}
	err := filepath.WalkDir(r.NATSDir("nats-1"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".blk" {
			newest[filepath.Dir(path)] = path // names are in order
		}
		return err
	})
	if err != nil || len(newest) == 0 {
		return errors.Join(err, fmt.Errorf("%d streams have files", len(newest)))
	}
	for dir, file := range newest {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := os.Truncate(file, r.random.Int64N(info.Size()+1)); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// stream is the notes' stream, in the hands of somebody who may do everything.
const stream = "NOTE"

func (r *round) byHand(ctx context.Context, do func(jetstream.JetStream) error) error {
	nc, err := nats.Connect(r.NATSURL(), nats.UserInfo(local.NATSAdmin, r.NATSPassword(local.NATSAdmin)))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return do(js)
}

func deleteStream(ctx context.Context, r *round) error {
	return r.byHand(ctx, func(js jetstream.JetStream) error { return js.DeleteStream(ctx, stream) })
}

// editStream makes the stream forget and refuse, and waits until it is as before.
func editStream(ctx context.Context, r *round) error {
	return r.byHand(ctx, func(js jetstream.JetStream) error {
		config := func() (jetstream.StreamConfig, error) {
			s, err := js.Stream(ctx, stream)
			if err != nil {
				return jetstream.StreamConfig{}, err
			}
			return s.CachedInfo().Config, nil
		}
		before, err := config()
		if err != nil {
			return err
		}
		edited := before
		edited.MaxMsgs, edited.Discard, edited.MaxMsgSize = 20, jetstream.DiscardOld, 4<<10
		if _, err := js.UpdateStream(ctx, edited); err != nil {
			return err
		}
		began := time.Now()
		for time.Since(began) < r.lasts() {
			now, err := config()
			if err == nil && now.MaxMsgs == before.MaxMsgs && now.Discard == before.Discard && now.MaxMsgSize == before.MaxMsgSize &&
				reflect.DeepEqual(now.Subjects, before.Subjects) {
				r.check(true, "corrected within %v", time.Since(began).Round(100*time.Millisecond))
				return nil
			}
			wait(ctx, 200*time.Millisecond)
		}
		return errors.New("it is still as somebody made it")
	})
}

// deleteUnread cuts the gateways off, deletes what came meanwhile, and lets them come back, again and again, until it was noticed often enough: they can
// not know what was in it, and have the browsers start anew.
func deleteUnread(ctx context.Context, r *round) error {
	const enough, gaps = 4, "noteworks_live_events_gaps_total"
	was, err := r.total(ctx, "gateway", gaps)
	if err != nil {
		return err
	}
	return r.byHand(ctx, func(js jetstream.JetStream) error {
		for began := time.Now(); ; {
			if err := r.loseUnread(ctx, js); err != nil {
				return err
			}
			now, err := r.total(ctx, "gateway", gaps)
			if err != nil {
				return err
			}
			if now-was >= enough {
				r.check(true, "noticed %.0f times", now-was)
				return nil
			}
			if time.Since(began) > time.Minute {
				return fmt.Errorf("%v gaps were noticed within a minute", now-was)
			}
		}
	})
}

// loseUnread is one time.
func (r *round) loseUnread(ctx context.Context, js jetstream.JetStream) error {
	ways := r.links.Match("gateway-* to nats-1")
	r.links.Cut(ways)
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	from := s.CachedInfo().State.LastSeq + 1
	wait(ctx, 500*time.Millisecond)
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	for seq := from; seq <= info.State.LastSeq; seq++ {
		if err := s.DeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // the relay may have been here first
			return err
		}
	}
	if err := r.links.Heal(); err != nil {
		return err
	}
	wait(ctx, 3*time.Second)
	return nil
}

// lagRises: what is behind is told, and memory stays.
func lagRises(ctx context.Context, r *round) error {
	before := r.measure(ctx)
	rises := func(name string) float64 {
		v, _ := r.metric(ctx, name, "inbox_pending") // one that does not answer has none
		return v
	}
	pending := 0.0
	for end := time.Now().Add(r.lasts()); time.Now().Before(end); wait(ctx, time.Second) {
		for _, name := range r.Names("note") {
			behind, _ := r.metric(ctx, name, "outbox_pending") // only the one that relays has it
			pending = max(pending, rises(name), behind)
		}
	}
	grown := r.grown(ctx, before)
	r.check(pending > 20, "up to %v events behind, and the metrics say so", pending)
	r.check(grown < 64<<20, "memory grew by %.0f MB at most", grown/(1<<20))
	return nil
}

// grown is how many bytes larger the service is that has grown most.
func (r *round) grown(ctx context.Context, before map[string]size) (most float64) {
	for name, now := range r.measure(ctx) {
		if was, known := before[name]; known && was.pid == now.pid {
			most = max(most, now.bytes-was.bytes)
		}
	}
	return most
}
