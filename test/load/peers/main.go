// Command peers measures what others would use for the way of an event, from the commit of a row to its receiver: Watermill's forwarder from a table of PostgreSQL to
// JetStream, and River's jobs in PostgreSQL. It is a module of its own, so that Noteworks does not depend on them. `go run ./test/load peers` runs it on the
// PostgreSQL of the stack it has just measured, and puts both into one table; alone it needs an empty database:
//
//	go run -C test/load/peers . -database postgres://…
//
// The load is open loop, as everywhere in the suite. Each operation is a transaction that inserts one row and, by the peer's own means, its event.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"noteworks.dev/test/load/measure"
)

type options struct {
	database         string
	postgres         int
	warmup, duration time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.database, "database", "", "URL of an empty database")
	flag.IntVar(&o.postgres, "postgres", 0, "process id of its server, to count its CPU; 0: not counted")
	flag.DurationVar(&o.warmup, "warmup", 3*time.Second, "time before counting begins")
	flag.DurationVar(&o.duration, "duration", 15*time.Second, "time counted at each rate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// peer is one way of an event. It is open until close is called.
type peer interface {
	// write commits a row with its event in one transaction.
	write(ctx context.Context, e event) error
	close() error
}

func run(ctx context.Context, o options) (*measure.Result, error) {
	r := &measure.Result{}
	for _, p := range []struct {
		name string
		open func(ctx context.Context, database string, received func(event)) (peer, error)
	}{
		{"Watermill, SQL to JetStream", openWatermill},
		{"River", openRiver},
	} {
		for _, rate := range []int{500, 1000} {
			row, err := drive(ctx, o, rate, p.open)
			if err != nil {
				return nil, fmt.Errorf("%s at %d a second: %w", p.name, rate, err)
			}
			row.Label = fmt.Sprintf("%s, %d a second", p.name, rate)
			r.Rows = append(r.Rows, row)
		}
	}
	return r, nil
}
