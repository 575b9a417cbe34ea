package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	wmsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	outboxTopic = "outbox"
	noteTopic   = "note"
	// pollEvery is how often Watermill looks into the table. Its default is a second; it has nothing that wakes it.
	pollEvery = time.Millisecond
)

// watermillPeer is Watermill's outbox: a publisher in the transaction, a forwarder, a subscriber to JetStream.
type watermillPeer struct {
	pool  *pgxpool.Pool
	stops []func() error
}

func openWatermill(ctx context.Context, database string, received func(event)) (_ peer, err error) {
	p := &watermillPeer{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.pool, err = pool(ctx, database); err != nil {
		return nil, err
	}
	p.stop(func() error { p.pool.Close(); return nil })
	for _, old := range []string{"watermill_outbox", "watermill_offsets_outbox", "rows"} {
		if _, err := p.pool.Exec(ctx, `drop table if exists `+old); err != nil {
			return nil, err
		}
	}
	if _, err := p.pool.Exec(ctx, `create table rows (id bigint generated always as identity primary key, body text not null)`); err != nil {
		return nil, err
	}
	url, err := p.startNATS()
	if err != nil {
		return nil, err
	}
	if err := p.receive(ctx, url, received); err != nil {
		return nil, err
	}
	return p, p.forward(ctx, url)
}

func (p *watermillPeer) stop(do func() error) { p.stops = append(p.stops, do) }

// startNATS starts a server that is configured as the stack's own.
func (p *watermillPeer) startNATS() (url string, err error) {
	dir, err := os.MkdirTemp("", "noteworks-peers-")
	if err != nil {
		return "", err
	}
	p.stop(func() error { return os.RemoveAll(dir) })
	s, err := server.NewServer(&server.Options{
		ServerName: "peers", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncInterval: 2 * time.Second,
	})
	if err != nil {
		return "", err
	}
	s.Start()
	p.stop(func() error { s.Shutdown(); s.WaitForShutdown(); return nil })
	if !s.ReadyForConnections(10 * time.Second) {
		return "", errors.New("the NATS server is not ready in time")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		return "", err
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		return "", err
	}
	_, err = js.AddStream(&nats.StreamConfig{Name: noteTopic, Subjects: []string{noteTopic}, Storage: nats.FileStorage, Duplicates: 100 * time.Millisecond})
	return s.ClientURL(), err
}

func (p *watermillPeer) receive(ctx context.Context, url string, received func(event)) error {
	subscriber, err := wmnats.NewSubscriber(wmnats.SubscriberConfig{
		URL: url, SubscribersCount: 1, Unmarshaler: &wmnats.NATSMarshaler{},
		JetStream: wmnats.JetStreamConfig{SubscribeOptions: []nats.SubOpt{nats.DeliverAll(), nats.AckExplicit()}, AckAsync: true},
	}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	p.stop(subscriber.Close)
	messages, err := subscriber.Subscribe(ctx, noteTopic)
	if err != nil {
		return err
	}
	go func() {
		for m := range messages {
			var e event
			if json.Unmarshal(m.Payload, &e) == nil {
				received(e)
			}
			m.Ack()
		}
	}()
	return nil
}

func (p *watermillPeer) forward(ctx context.Context, url string) error {
	outbox, err := wmsql.NewSubscriber(wmsql.BeginnerFromPgx(p.pool), wmsql.SubscriberConfig{
		ConsumerGroup: "forwarder", PollInterval: pollEvery,
		SchemaAdapter: wmsql.DefaultPostgreSQLSchema{}, OffsetsAdapter: wmsql.DefaultPostgreSQLOffsetsAdapter{}, InitializeSchema: true,
	}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	if err := outbox.SubscribeInitialize(outboxTopic); err != nil {
		return err
	}
	out, err := wmnats.NewPublisher(wmnats.PublisherConfig{URL: url, Marshaler: &wmnats.NATSMarshaler{}}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	p.stop(out.Close)
	f, err := forwarder.NewForwarder(outbox, out, watermill.NopLogger{}, forwarder.Config{ForwarderTopic: outboxTopic})
	if err != nil {
		return err
	}
	p.stop(f.Close)
	failed := make(chan error, 1)
	go func() { failed <- f.Run(ctx) }()
	select {
	case <-f.Running():
		return nil
	case err := <-failed:
		return fmt.Errorf("the forwarder ended: %w", err)
	}
}

func (p *watermillPeer) write(ctx context.Context, e event) error {
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into rows (body) values ($1)`, e.Body); err != nil {
			return err
		}
		in, err := wmsql.NewPublisher(wmsql.TxFromPgx(tx), wmsql.PublisherConfig{SchemaAdapter: wmsql.DefaultPostgreSQLSchema{}}, watermill.NopLogger{})
		if err != nil {
			return err
		}
		outbox := forwarder.NewPublisher(in, forwarder.PublisherConfig{ForwarderTopic: outboxTopic})
		return outbox.Publish(noteTopic, message.NewMessage(watermill.NewUUID(), payload))
	})
}

func (p *watermillPeer) close() error {
	var all []error
	for i := len(p.stops) - 1; i >= 0; i-- {
		all = append(all, p.stops[i]())
	}
	return errors.Join(all...)
}

// pool has as many connections as the note service's would have at this load.
func pool(ctx context.Context, database string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 32
	return pgxpool.NewWithConfig(ctx, cfg)
}
