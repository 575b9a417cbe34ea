// Package inbox gives each event its effect once, although NATS delivers at least once. A handler's effect, the event's id and the consumer's
// place are one transaction; the message is acknowledged after its commit.
//
// It promises:
//   - once in effect, whatever is lost or repeated: acknowledgements, connections, processes, NATS's whole storage;
//   - an event that fails is tried again with growing delay, then parked in the dead-letter stream with its reason, from where
//     it can be replayed. The ones behind it are not held up;
//   - an event that can not become valid (undecodable, or Park) is parked at once; one of an unknown type is counted and passed over;
//   - trouble with the database delays events and never parks one;
//   - the trace goes on: handlers run in a span that is a child of the publish span, and linked to it.
//
// Events of one key arrive in order, but one that waits for its next try is overtaken by later ones of the same key. So a handler compares
// versions: an older one never overwrites a newer one. (Holding the key's later events back instead would stop a note for as long as
// one bad event is tried, and in every consumer.)
//
// Imports gorm, the kit's event, errs, pg and telemetry.
package inbox

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/telemetry"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the inbox's part of a service's schema, for pg.Migrate.
var Migrations fs.FS = migrations

// Keep is how long the inbox remembers an event. An outbox may publish an event again as long as it has it, which is event.Retention and, since
// whole days go, up to a day and the hour of a rotation more.
const Keep = event.Retention + 2*24*time.Hour

// Config says what is consumed, and as whom. Zero values mean the defaults.
type Config struct {
	// Consumer is the durable name: "<service>-<purpose>". Replicas of the service share it, and the work.
	Consumer string
	Stream   string

	// Retries are the delays before each further try (100 ms, 1 s, 5 s, 15 s, 1 min); after the last, an event is parked.
	Retries []time.Duration
	// PanicRetries is how many of them an event gets whose handler panics (2): a bug mostly stays one.
	PanicRetries int
	// Batch is how many events share a transaction at most (64).
	Batch int
	// Linger is how long the first event of a batch waits for others to share its transaction (0): a busy consumer that need not be quick
	// costs the database a fraction of the transactions.
	Linger time.Duration
	// AckWait is how long a delivery may go without a sign of life before somebody else gets it (5 s).
	AckWait time.Duration
	// Purge is how often old rows are removed (1 h).
	Purge time.Duration
	// Measure is how often the consumer's lag is asked for (10 s).
	Measure time.Duration
}

func (c Config) withDefaults() Config {
	if len(c.Retries) == 0 {
		c.Retries = []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second, time.Minute}
	}
	if c.PanicRetries <= 0 {
		c.PanicRetries = 2
	}
	if c.Batch <= 0 {
		c.Batch = 64
	}
	if c.AckWait <= 0 {
		c.AckWait = 5 * time.Second
	}
	if c.Purge <= 0 {
		c.Purge = time.Hour
	}
	if c.Measure <= 0 {
		c.Measure = 10 * time.Second
	}
	return c
}

// Tx is what a handler works with.
type Tx struct {
	// DB is the transaction, in the event's workspace. What is appended to an outbox in it goes out with its commit.
	DB    *gorm.DB
	Event event.Event

	gathered *gathered
}

type handler func(ctx context.Context, tx Tx) error

// Inbox is one consumer.
type Inbox struct {
	cfg      Config
	db       *pg.DB
	bus      *event.Bus
	tel      *telemetry.Telemetry
	log      *slog.Logger
	tracer   trace.Tracer
	meter    *meter
	ledger   ledger
	handlers map[string]handler

	failures failures
	ack      func(event.Delivery) error // a test loses some
	life     life
}

// New returns an inbox. It asks nobody anything before Start.
func New(db *pg.DB, bus *event.Bus, cfg Config, tel *telemetry.Telemetry) *Inbox {
	return &Inbox{
		cfg:      cfg.withDefaults(),
		db:       db,
		bus:      bus,
		tel:      tel,
		log:      tel.Log.With(telemetry.Component("inbox"), slog.String("consumer", cfg.Consumer)),
		tracer:   tel.Tracers.Tracer("noteworks.dev/services/internal/inbox"),
		meter:    newMeter(tel, cfg.Consumer),
		ledger:   ledger{db: db, consumer: cfg.Consumer},
		handlers: map[string]handler{},
		ack:      event.Delivery.Ack,
	}
}

// Consumer is the durable name under which it consumes.
func (in *Inbox) Consumer() string { return in.cfg.Consumer }

// On makes handle the handler of M's events. It is called before Start, once for each M. Handlers are called one at a time; an error
// means again later, Park(err) never again. The context ends when the inbox is stopped by force.
func On[M proto.Message](in *Inbox, handle func(ctx context.Context, tx Tx, m M) error) {
	var typed M
	name := string(typed.ProtoReflect().Descriptor().FullName())
	if _, twice := in.handlers[name]; twice {
		panic("inbox: two handlers of " + name)
	}
	in.meter.begin(name)
	in.handlers[name] = func(ctx context.Context, tx Tx) error {
		m, err := event.Decode[M](tx.Event)
		if err != nil {
			return Park(err)
		}
		return handle(ctx, tx, m)
	}
}

// Park says that err will not go away: the event goes to the dead letters now. Park(nil) is nil.
func Park(err error) error {
	if err == nil {
		return nil
	}
	return &parkError{err}
}

type parkError struct{ err error }

func (e *parkError) Error() string { return e.err.Error() }
func (e *parkError) Unwrap() error { return e.err }

// panicError is a handler's panic as an error.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.value) }

// failures counts, per event, how often its handler failed in this process.
type failures struct {
	mu    sync.Mutex
	count map[string]int
}

const failuresAtMost = 10_000

func (f *failures) add(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.count) >= failuresAtMost || f.count == nil { // another replica may have settled what this one remembers
		f.count = map[string]int{}
	}
	f.count[id]++
	return f.count[id]
}

func (f *failures) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.count, id)
}

func shouldPark(err error) bool {
	var park *parkError
	return errors.As(err, &park)
}
