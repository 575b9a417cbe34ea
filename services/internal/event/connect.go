package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/telemetry"
)

// Config is how to reach NATS.
type Config struct {
	URL  string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222"`
	User string `env:"NATS_USER"`
	// Password is used unless PasswordFile is given, which is read again for each connection: a rotated password needs no restart.
	Password     config.Secret `env:"NATS_PASSWORD"`
	PasswordFile string        `env:"NATS_PASSWORD_FILE"`
	// StreamBytes bounds the files of each stream, 0 for 8 GiB.
	StreamBytes int64 `env:"NATS_STREAM_MAX_BYTES"`
	// StreamReplicas is on how many servers of a cluster each stream is kept; 0 leaves that to whoever runs NATS.
	StreamReplicas int `env:"NATS_STREAM_REPLICAS" should:"1, 3 or 5"`
	// Name is this client's in NATS's own monitoring, and the first part of its inbox's subject: the service's name.
	Name string `env:"-"`
	// InProcess, if set, is a server in this process, reached without the network; URL is then only its name.
	InProcess nats.InProcessConnProvider `env:"-"`
}

const (
	dialTimeout     = 2 * time.Second
	reconnectFirst  = 50 * time.Millisecond
	reconnectAtMost = 2 * time.Second
	pingEvery       = 5 * time.Second
	pingsLost       = 2
	// pingsWaiting is how many pings wait to be sent. More would say nothing new.
	pingsWaiting = 16
	// sayAgain is how often the log repeats why there is no connection.
	sayAgain = 5 * time.Minute
	// startPatience is how long a new process is not ready without NATS.
	startPatience = 30 * time.Second
)

// Bus is one connection to NATS, shared by everything in a service. Close it last.
type Bus struct {
	cfg     Config
	nc      *nats.Conn
	js      jetstream.JetStream
	tel     *telemetry.Telemetry
	log     *slog.Logger
	metrics metric.Registration
	pings   chan string // services whose relays to wake
	end     context.CancelFunc

	mu        sync.Mutex
	connected bool
	refused   bool      // the credentials were, and it has been logged
	since     time.Time // when connected last changed
	began     time.Time
	reached   bool   // at least once
	missed    string // why it was not, as it was last logged, at missedAt
	missedAt  time.Time
	lastError error
	watchers  map[chan struct{}]struct{}
}

// Connect starts to connect and returns at once: the server may be away, and come later. The error is about cfg.
func Connect(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*Bus, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if cfg.Name == "" || strings.ContainsAny(cfg.Name, ".*> \t") {
		return nil, fmt.Errorf("connect to NATS: name %q is not one token of a subject", cfg.Name)
	}
	b := &Bus{
		cfg: cfg, tel: tel, log: tel.Log.With(telemetry.Component("nats")),
		since: time.Now(), began: time.Now(), watchers: map[chan struct{}]struct{}{},
		pings: make(chan string, pingsWaiting),
	}
	nc, err := nats.Connect(cfg.URL, b.options()...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	b.nc = nc
	if b.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout)); err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if err := b.observe(); err != nil {
		nc.Close()
		return nil, err
	}
	open, end := context.WithCancel(context.Background()) // until Close
	b.end = end
	go b.sendPings(open)
	return b, nil
}

func (b *Bus) options() []nats.Option {
	opts := []nats.Option{
		nats.Name(b.cfg.Name),
		nats.CustomInboxPrefix("_INBOX." + b.cfg.Name),
		nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // without it, two equal auth errors close the connection for good
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ReconnectBufSize(-1), // publishing while away fails at once; nothing is sent later behind the caller's back
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsLost),
		nats.ConnectHandler(func(nc *nats.Conn) { b.up(nc) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.up(nc) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.down(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.stillDown(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { b.asyncError(sub, err) }),
	}
	if b.cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(b.cfg.InProcess))
	}
	if b.cfg.User != "" {
		opts = append(opts, nats.UserInfoHandler(b.credentials))
	}
	return opts
}

// credentials is asked for each connection. An unreadable file answers the password known from the start: refused, it is tried again.
func (b *Bus) credentials() (user, password string) {
	if b.cfg.PasswordFile == "" {
		return b.cfg.User, b.cfg.Password.Reveal()
	}
	read, err := os.ReadFile(b.cfg.PasswordFile)
	if err != nil {
		b.log.Warn("password file unreadable", telemetry.Err(err))
		return b.cfg.User, b.cfg.Password.Reveal()
	}
	return b.cfg.User, strings.TrimRight(string(read), "\r\n")
}

// reconnectDelay doubles from 50 ms to 2 s, less up to a quarter by chance, so that many clients do not come back at once.
func reconnectDelay(attempts int) time.Duration {
	d := reconnectAtMost
	if attempts < 6 {
		d = min(d, reconnectFirst<<max(attempts-1, 0))
	}
	return d - rand.N(d/4)
}

func (b *Bus) up(nc *nats.Conn) {
	b.mu.Lock()
	b.connected, b.reached, b.refused, b.missed, b.since = true, true, false, "", time.Now()
	b.tell()
	b.mu.Unlock()
	b.log.Info("connected", slog.String("server", nc.ConnectedUrlRedacted()))
}

func (b *Bus) down(err error) {
	b.mu.Lock()
	was := b.connected
	b.connected, b.since = false, time.Now()
	b.tell()
	b.mu.Unlock()
	if was && err != nil {
		b.log.Warn("connection lost, reconnecting", telemetry.Err(err))
	}
}

// stillDown logs each reason once, and again after some time.
func (b *Bus) stillDown(err error) {
	if errors.Is(err, nats.ErrNoServers) { // it comes between two tries and says nothing
		return
	}
	b.mu.Lock()
	b.lastError = err
	again := err.Error() == b.missed && time.Since(b.missedAt) < sayAgain
	if !again {
		b.missed, b.missedAt = err.Error(), time.Now()
	}
	b.mu.Unlock()
	if !again {
		b.log.Warn("not connected, trying on", telemetry.Err(err))
	}
}

// Ready is nil once NATS has been reached, and for good: without it, services go on. A process that has never reached it may be one of a new version with
// the wrong address or password, and should not take the place of one that has; after startPatience NATS rather is away for all, and Ready is nil, too.
func (b *Bus) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.reached || time.Since(b.began) > startPatience:
		return nil
	case b.lastError != nil:
		return fmt.Errorf("waiting: NATS has not been reached yet: %w", b.lastError)
	}
	return errors.New("waiting: NATS has not been reached yet")
}

func (b *Bus) asyncError(sub *nats.Subscription, err error) {
	if isRefusal(err) && b.refusedBefore() {
		return // tried again every two seconds; once is enough
	}
	attrs := []any{telemetry.Err(err)}
	if sub != nil {
		attrs = append(attrs, slog.String("subject", sub.Subject))
	}
	b.log.Warn("server or client reports", attrs...)
}

func isRefusal(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) ||
		errors.Is(err, nats.ErrAccountAuthExpired)
}

func (b *Bus) refusedBefore() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.refused
	b.refused = true
	return was
}

// tell wakes everyone who watches the connection. The lock is held.
func (b *Bus) tell() {
	for ch := range b.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// watch returns a channel that gets a token whenever the connection comes or goes.
func (b *Bus) watch() (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	b.watchers[ch] = struct{}{}
	b.mu.Unlock()
	return ch, func() {
		b.mu.Lock()
		delete(b.watchers, ch)
		b.mu.Unlock()
	}
}

// connection is the number of the present connection, 0 while there is none. Two equal answers that are not 0 mean that the
// connection was not lost between them.
func (b *Bus) connection() uint64 {
	before := b.nc.Stats().Reconnects
	if !b.nc.IsConnected() || b.nc.Stats().Reconnects != before {
		return 0
	}
	return before + 1
}

// ErrDisconnected says that NATS is away, or went away before it answered.
var ErrDisconnected = errors.New("no connection to NATS")

// await returns when there is a connection, and its number.
func (b *Bus) await(ctx context.Context) (uint64, error) {
	for {
		if err := b.Await(ctx, nil); err != nil {
			return 0, err
		}
		if n := b.connection(); n != 0 {
			return n, nil
		}
	}
}

// Await returns nil when there is a connection, ErrDisconnected when stop was closed first, and ctx's error when that ended first.
func (b *Bus) Await(ctx context.Context, stop <-chan struct{}) error {
	changed, unwatch := b.watch()
	defer unwatch()
	for b.connection() == 0 {
		select {
		case <-changed:
		case <-stop:
			return ErrDisconnected
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Connected reports whether NATS is there now, and since when that is so.
func (b *Bus) Connected() (is bool, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.connected, b.since
}

func (b *Bus) observe() error {
	meter := b.tel.Meters.Meter("noteworks.dev/services/internal/event")
	gauge, err := meter.Int64ObservableGauge("nats_connected", metric.WithDescription("1 while connected to NATS. At 0 writes go on, and events wait in the outbox."))
	if err != nil {
		return fmt.Errorf("metric nats_connected: %w", err)
	}
	b.metrics, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		is, _ := b.Connected()
		value := int64(0)
		if is {
			value = 1
		}
		o.ObserveInt64(gauge, value, metric.WithAttributes(attribute.String("client", b.cfg.Name)))
		return nil
	}, gauge)
	if err != nil {
		return fmt.Errorf("metric nats_connected: %w", err)
	}
	return nil
}

// Close ends the connection. What was published and not acknowledged is given up.
func (b *Bus) Close() {
	b.end()
	_ = b.metrics.Unregister() // only fails when it was done before
	b.nc.Close()
}
