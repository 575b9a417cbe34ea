package anchor

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"noteworks.dev/test/load/measure"
)

// natsServer is configured as the stack's own is.
func natsServer() (js jetstream.JetStream, stop func(), err error) {
	dir, err := os.MkdirTemp("", "noteworks-anchor-")
	if err != nil {
		return nil, nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "anchor", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncInterval: 2 * time.Second, MaxPayload: 1 << 20, MaxPending: 16 << 20,
	})
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	end := func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
	if !s.ReadyForConnections(10 * time.Second) {
		end()
		return nil, nil, errors.New("the NATS server is not ready in time")
	}
	nc, err := nats.Connect(s.ClientURL(), nats.InProcessServer(s))
	if err != nil {
		end()
		return nil, nil, err
	}
	js, err = jetstream.New(nc)
	return js, func() { nc.Close(); end() }, err
}

func stream(ctx context.Context) (js jetstream.JetStream, stop func(), err error) {
	js, stop, err = natsServer()
	if err != nil {
		return nil, nil, err
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "NOTE", Subjects: []string{"ws.*.note.v1.>"}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: 8 << 30, MaxMsgSize: 1 << 20, Duplicates: 100 * time.Millisecond,
	})
	if err != nil {
		stop()
	}
	return js, stop, err
}

const subject = "ws.00000000-0000-7000-8000-000000000001.note.v1.NoteChanged"

func publishSync(ctx context.Context, during time.Duration) (sample, error) {
	js, stop, err := stream(ctx)
	if err != nil {
		return sample{}, err
	}
	defer stop()
	message := make([]byte, 800)
	return loop(ctx, 1, during, func(int) (func() error, func(), error) {
		once := func() error {
			_, err := js.Publish(ctx, subject, message)
			return err
		}
		return once, func() {}, nil
	})
}

// publishAsync keeps a window of publishes under way, as the relay does. The latency is from the publish to its acknowledgement.
func publishAsync(ctx context.Context, during time.Duration) (sample, error) {
	const window = 256
	js, stop, err := stream(ctx)
	if err != nil {
		return sample{}, err
	}
	defer stop()
	type sent struct {
		at    time.Time
		acked jetstream.PubAckFuture
	}
	s := sample{latencies: measure.NewLatencies()}
	message := make([]byte, 800)
	var under []sent
	await := func() error {
		select {
		case <-under[0].acked.Ok():
			s.latencies.Record(time.Since(under[0].at))
			under = under[1:]
			return nil
		case err := <-under[0].acked.Err():
			return err
		}
	}
	began := time.Now()
	for time.Since(began) < during && ctx.Err() == nil {
		if len(under) == window {
			if err := await(); err != nil {
				return s, err
			}
		}
		f, err := js.PublishAsync(subject, message)
		if err != nil {
			return s, err
		}
		under = append(under, sent{time.Now(), f})
	}
	for len(under) > 0 {
		if err := await(); err != nil {
			return s, err
		}
	}
	s.took = time.Since(began)
	return s, ctx.Err()
}
