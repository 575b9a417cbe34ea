package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"noteworks.dev/services/internal/balance"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/telemetry"
)

const (
	defaultTimeout = 2 * time.Second
	maxTries       = 3
	// The pause before a second try is up to firstPause, before a third up to twice that: chosen by chance, so that many callers of
	// what just came back do not come at once.
	firstPause = 50 * time.Millisecond
)

// Config is where a service's internal port is and how to introduce oneself. Nest it with an envPrefix such as "USER_RPC_".
type Config struct {
	URL   string        `env:"URL,required" should:"a URL such as http://user:8082"`
	Token config.Secret `env:"TOKEN,required" should:"the token this service is known by there"`
	// TokenFile is where Token came from, if it did: read again when it changes, as the tokens do that Kubernetes projects.
	TokenFile string        `env:"TOKEN_FILE"`
	Timeout   time.Duration `env:"TIMEOUT" envDefault:"2s"`
}

// Validate reports what would make every call fail.
func (c *Config) Validate() error {
	var all []error
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		all = append(all, &config.SettingError{Name: "URL", Problem: "is not a URL", Should: "a URL such as http://user:8082"})
	}
	if c.Timeout < 0 {
		all = append(all, &config.SettingError{Name: "TIMEOUT", Problem: "is negative", Should: "a duration such as 2s"})
	}
	return errors.Join(all...)
}

// NewClient is what a generated client is built with, besides the URL:
//
//	client, options := rpc.NewClient(cfg.User, tel)
//	directory := userv1connect.NewDirectoryServiceClient(client, cfg.User.URL, options...)
//
// The HTTP client alone (balanced, traced, behind the breaker, without the token) also fits auth.NewJWKS. With a URL that
// Validate refuses, every call fails and says so.
func NewClient(cfg Config, tel *telemetry.Telemetry, opts ...balance.Option) (*http.Client, []connect.ClientOption) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	client := &http.Client{
		Transport:     newTransport(cfg, tel, opts),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client, []connect.ClientOption{
		connect.WithInterceptors(calling{cfg, &token{known: cfg.Token, file: cfg.TokenFile, log: tel.Log}}),
		connect.WithReadMaxBytes(maxMessage),
		connect.WithSendMaxBytes(maxMessage),
		connect.WithCompressMinBytes(1 << 10),
	}
}

func newTransport(cfg Config, tel *telemetry.Telemetry, opts []balance.Option) http.RoundTripper {
	name := cfg.URL
	if u, err := url.Parse(cfg.URL); err == nil {
		name = u.Host
	}
	upstream, err := balance.New(name, cfg.URL, tel, opts...)
	if err != nil {
		return broken{errs.Internal("internal", "").WithCause(fmt.Errorf("rpc client: %w", err))}
	}
	return transport{instrument(upstream, tel), upstream}
}

// broken is the transport of a client that cannot be.
type broken struct{ err error }

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close() // as a RoundTripper must; nothing was read
	}
	return nil, b.err
}

func instrument(next http.RoundTripper, tel *telemetry.Telemetry) http.RoundTripper {
	return otelhttp.NewTransport(next,
		otelhttp.WithTracerProvider(tel.Tracers),
		otelhttp.WithMeterProvider(tel.Meters),
		otelhttp.WithPropagators(tel.Propagator),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/") }))
}

// transport lets http.Client's CloseIdleConnections reach through the instrumentation.
type transport struct {
	http.RoundTripper
	upstream *balance.Transport
}

func (t transport) CloseIdleConnections() { t.upstream.CloseIdleConnections() }

// calling is what surrounds each call: the token, the timeout, the retry, and the way errors arrive.
type calling struct {
	cfg   Config
	token *token
}

func (c calling) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		c.introduce(req.Header())
		limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
		hurried := sameDeadline(ctx, limited)
		for try := 1; ; try++ {
			res, err := next(limited, req)
			if err == nil {
				return res, nil
			}
			err = fromConnect(ctx, hurried, err)
			if try == maxTries || !worthAnother(req.Spec(), err) || !pause(limited, try) {
				return nil, err
			}
		}
	}
}

func (c calling) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		c.introduce(conn.RequestHeader())
		return conn
	}
}

func (c calling) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (c calling) introduce(h http.Header) {
	h.Set("Authorization", "Bearer "+c.token.now().Reveal())
}

// sameDeadline reports whether limited got its deadline from ctx and not from our timeout.
func sameDeadline(ctx, limited context.Context) bool {
	own, has := ctx.Deadline()
	used, _ := limited.Deadline()
	return has && own.Equal(used)
}

// worthAnother: only what can be done twice, and only when nobody was there to do it.
func worthAnother(spec connect.Spec, err error) bool {
	twice := spec.IdempotencyLevel == connect.IdempotencyNoSideEffects || spec.IdempotencyLevel == connect.IdempotencyIdempotent
	return twice && errs.KindOf(err) == errs.KindUnavailable
}

// pause waits before the next try and reports whether there is time left for one.
func pause(ctx context.Context, try int) bool {
	longest := firstPause << (try - 1)
	timer := time.NewTimer(longest/2 + rand.N(longest/2)) //nolint:gosec // chance, not secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
