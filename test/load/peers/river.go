package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverPeer is River: a job in the transaction, and workers of the same process.
type riverPeer struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

// Kind names the job to River.
func (event) Kind() string { return "note_changed" }

type receiver struct {
	river.WorkerDefaults[event]
	received func(event)
}

// Work is called by River with each job.
func (r *receiver) Work(_ context.Context, job *river.Job[event]) error {
	r.received(job.Args)
	return nil
}

func openRiver(ctx context.Context, database string, received func(event)) (_ peer, err error) {
	p := &riverPeer{}
	defer func() {
		if err != nil && p.pool != nil {
			p.pool.Close()
		}
	}()
	if p.pool, err = pool(ctx, database); err != nil {
		return nil, err
	}
	if _, err := p.pool.Exec(ctx, `drop table if exists rows`); err != nil {
		return nil, err
	}
	if _, err := p.pool.Exec(ctx, `create table rows (id bigint generated always as identity primary key, body text not null)`); err != nil {
		return nil, err
	}
	driver := riverpgxv5.New(p.pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet()})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	if _, err := p.pool.Exec(ctx, `truncate river_job`); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &receiver{received: received})
	// The defaults are 100 ms and 1 s: these are the fastest that River takes and that its notifications do not need.
	p.client, err = river.NewClient(driver, &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}}, Workers: workers, Logger: quiet(),
		FetchCooldown: river.FetchCooldownMin, FetchPollInterval: 100 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	return p, p.client.Start(ctx)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (p *riverPeer) write(ctx context.Context, e event) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into rows (body) values ($1)`, e.Body); err != nil {
			return err
		}
		_, err := p.client.InsertTx(ctx, tx, e, nil)
		return err
	})
}

func (p *riverPeer) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := p.client.Stop(ctx)
	p.pool.Close()
	return err
}
