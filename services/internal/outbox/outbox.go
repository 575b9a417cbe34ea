// Package outbox makes "save the row" and "tell the others" one decision. Append writes an event in the caller's transaction; the relay
// publishes it after the commit.
//
// It promises: an event is published if and only if its transaction committed; events of one key in the order of their commits; each
// once in the stream as long as NATS keeps what it acknowledged, and again from the outbox when it does not; one unbroken trace from
// the transaction to the message. It survives the death of any part at any point, because nothing but the stream itself says what is published:
// each message carries the outbox's position, and the stream's last message is the cursor.
//
// Imports gorm, pgx, the kit's event, pg and telemetry. Knows nothing of users or notes.
package outbox

import (
	"embed"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/telemetry"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the outbox's part of a service's schema, for pg.Migrate.
var Migrations fs.FS = migrations

// Config says whose events these are. Zero durations mean the defaults.
type Config struct {
	// Stream is the JetStream stream that this outbox alone writes.
	Stream string
	// Source is the service: the events' ce-source, and the name under which its replicas wake each other.
	Source string

	// Poll is how often the relay looks without having been woken (100 ms).
	Poll time.Duration
	// Standby is how often a replica that does not relay asks whether it may (500 ms).
	Standby time.Duration
	// Silence is for how long PostgreSQL hears nothing of the one that relays before it lets another one do so (20 s): a process that hangs, or whose
	// machine is gone, would otherwise hold the lock for the hours TCP takes to notice. Longer than Audit.
	Silence time.Duration
	// Audit is how often the relay compares the stream with what it knows, and measures its backlog (10 s).
	Audit time.Duration
	// Rotate is how often partitions are made ahead and old ones dropped (1 h), Keep how long events are kept (event.Retention).
	Rotate, Keep time.Duration
}

func (c Config) withDefaults() Config {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orDefault(&c.Poll, 100*time.Millisecond)
	orDefault(&c.Standby, 500*time.Millisecond)
	orDefault(&c.Silence, 20*time.Second)
	orDefault(&c.Audit, 10*time.Second)
	orDefault(&c.Rotate, time.Hour)
	orDefault(&c.Keep, event.Retention)
	return c
}

// Outbox is one service's outbox: of all replicas that have started theirs, one relays.
type Outbox struct {
	cfg    Config
	db     *pg.DB
	bus    *event.Bus
	tel    *telemetry.Telemetry
	log    *slog.Logger
	tracer trace.Tracer
	meter  *meter

	woken   chan struct{}
	handed  chan placed
	leading atomic.Bool
	refill  atomic.Uint64 // the sequence of an order to refill, 0 for none

	life life
}

// New returns an outbox. It asks nobody anything before Start; Append works without Start, as in a replica that only writes, whose bus may be nil.
func New(db *pg.DB, bus *event.Bus, cfg Config, tel *telemetry.Telemetry) *Outbox {
	return &Outbox{
		cfg:    cfg.withDefaults(),
		db:     db,
		bus:    bus,
		tel:    tel,
		log:    tel.Log.With(telemetry.Component("outbox"), slog.String("stream", cfg.Stream)),
		tracer: tel.Tracers.Tracer("noteworks.dev/services/internal/outbox"),
		meter:  newMeter(tel, cfg.Stream),
		woken:  make(chan struct{}, 1),
		handed: make(chan placed, readAtMost),
	}
}

// Stream is what the outbox is published to.
func (o *Outbox) Stream() string { return o.cfg.Stream }

// Source is the service whose events these are.
func (o *Outbox) Source() string { return o.cfg.Source }

// placed is an event that was committed by this process: as the relay would read it, and the place before it in its lane.
type placed struct {
	event.Event
	before int64
}

// handOver gives the relay what has just been committed. It publishes at once what follows upon what it has published, and otherwise looks; so
// what gets lost here, because the relay is elsewhere or far behind, is only later.
func (o *Outbox) handOver(events []placed) {
	if !o.leading.Load() {
		o.look()
		return
	}
	for _, e := range events {
		select {
		case o.handed <- e:
		default:
			o.wakeHere()
			return
		}
	}
}

// look has whichever replica relays look now.
func (o *Outbox) look() {
	if o.leading.Load() {
		o.wakeHere()
		return
	}
	o.bus.Ping(o.cfg.Source)
}

// dropHanded forgets what was handed over and not published yet: a look finds it, if it is still to be published.
func (o *Outbox) dropHanded() {
	for {
		select {
		case <-o.handed:
		default:
			return
		}
	}
}

// wakeHere makes the relay of this process look now.
func (o *Outbox) wakeHere() {
	select {
	case o.woken <- struct{}{}:
	default: // it has not seen the last token yet, and will look after this commit anyway
	}
}

// life is the state of Start and Stop.
type life struct {
	mu       sync.Mutex
	started  bool
	stopping chan struct{} // closed by Stop: publish what is there, then end
	cancel   func()        // ends at once
	unping   func()
	done     chan struct{}
}
