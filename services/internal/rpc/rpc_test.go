package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

const (
	ask     = "/test.v1.TestService/Ask" // no side effects
	change  = "/test.v1.TestService/Change"
	hidden  = "/test.v1.TestService/Hidden" // nobody may
	noteKey = "note-token-0123456789abcdef"
	opKey   = "operator-token-0123456789ab"
)

type (
	text    = wrapperspb.StringValue
	handler = func(context.Context, *connect.Request[text]) (*connect.Response[text], error)
)

// lines is a log that may be written and read at once.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is a service with an internal port, and those who call it.
type world struct {
	url   string
	spans *spantest.Recorder
	log   *lines
	calls atomic.Int32
	tel   *telemetry.Telemetry // of the callers
}

func newTelemetry(t *testing.T, service string, log io.Writer, rec *spantest.Recorder) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), service, config.Map(nil), log, telemetry.WithSpanProcessor(rec))
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

func newWorld(t *testing.T, h handler) *world {
	t.Helper()
	callers, err := rpc.NewStaticCallers("note=" + noteKey + ",operator=" + opKey)
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, callers, h)
}

func newWorldOf(t *testing.T, callers rpc.CallerVerifier, h handler) *world {
	t.Helper()
	w := &world{spans: spantest.New(), log: &lines{}}
	w.tel = newTelemetry(t, "note", io.Discard, w.spans)
	tel := newTelemetry(t, "user", w.log, w.spans)
	s := rpc.NewServer(callers, tel)
	counted := func(ctx context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
		w.calls.Add(1)
		return h(ctx, r)
	}
	for _, procedure := range []string{ask, change, hidden} {
		level := connect.IdempotencyUnknown
		if procedure == ask {
			level = connect.IdempotencyNoSideEffects
		}
		s.Mount(procedure, connect.NewUnaryHandler(procedure, counted, append(s.Options(), connect.WithIdempotency(level))...))
	}
	s.Allow("note", ask, change)
	s.Handle("GET /.well-known/jwks.json", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "keys") }))
	server := httpserver.New("rpc", "127.0.0.1:0", s, tel, httpserver.WithH2C())
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	w.url = "http://" + server.Addr()
	return w
}

// client calls procedure as our services do.
func (w *world) client(t *testing.T, procedure string, cfg rpc.Config, more ...connect.ClientOption) *connect.Client[text, text] {
	t.Helper()
	cfg.URL = w.url
	if cfg.Token == "" {
		cfg.Token = noteKey
	}
	h, opts := rpc.NewClient(cfg, w.tel)
	t.Cleanup(h.CloseIdleConnections)
	if procedure == ask {
		opts = append(opts, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	}
	return connect.NewClient[text, text](h, w.url+procedure, append(opts, more...)...)
}

func say(t *testing.T, ctx context.Context, c *connect.Client[text, text]) (string, error) {
	t.Helper()
	res, err := c.CallUnary(ctx, connect.NewRequest(wrapperspb.String("hello")))
	if err != nil {
		return "", err
	}
	return res.Msg.GetValue(), nil
}

func answering(err error) handler {
	return func(context.Context, *connect.Request[text]) (*connect.Response[text], error) { return nil, err }
}

func TestACallNamesItsCallerAndStaysInTheTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(ctx context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
		return connect.NewResponse(wrapperspb.String(r.Msg.GetValue() + " from " + rpc.CallerFrom(ctx).Name)), nil
	})
	ctx, span := w.tel.Tracer().Start(t.Context(), "request")
	got, err := say(t, ctx, w.client(t, ask, rpc.Config{}))
	span.End()
	if got != "hello from note" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	path := w.spans.RequirePath(t, "request", "test.v1.TestService/Ask", "test.v1.TestService/Ask")
	if spantest.Service(path[1]) != "note" || spantest.Service(path[2]) != "user" || spantest.Attribute(path[2], "noteworks.caller") != "note" {
		t.Error(w.spans.Tree(path[0].SpanContext().TraceID()))
	}
}

func TestErrorsKeepKindCodeAndDetailOverEveryProtocol(t *testing.T) {
	t.Parallel()
	var sent []*errs.Error
	for k := errs.Kind(1); ; k++ {
		if _, known := errs.ParseKind(k.String()); !known {
			break
		}
		if k != errs.KindInternal && k != errs.KindCanceled {
			sent = append(sent, errs.New(k, "code-"+k.Code(), "Detail of "+k.String()+", with an umlaut: ü.").WithField("tags[3]").WithRetryAfter(1500*time.Millisecond).WithCause(errors.New("secret")))
		}
	}
	for name, protocol := range map[string]connect.ClientOption{"Connect": connect.WithProtoJSON(), "gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, want := range sent {
				w := newWorld(t, answering(fmt.Errorf("handle: %w", want)))
				h, opts := rpc.NewClient(rpc.Config{URL: w.url, Token: noteKey}, w.tel)
				if name == "gRPC" {
					h = &http.Client{Transport: h2c(t)}
				}
				_, err := say(t, t.Context(), connect.NewClient[text, text](h, w.url+change, append(opts, protocol)...))
				got := errs.As(err)
				if got.Kind != want.Kind || got.Code != want.Code || got.Detail != want.Detail || got.Field != want.Field || got.RetryAfter != want.RetryAfter {
					t.Errorf("sent %+v, got %+v", want, got)
				}
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the cause crossed: %v", err)
				}
			}
		})
	}
}

// h2c is gRPC's own transport: HTTP/2 without TLS.
func h2c(t *testing.T) *http.Transport {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func TestAnInternalErrorSaysNothingAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]handler{
		"a stranger":     answering(errors.New("pq: secret")),
		"one of ours":    answering(errs.Internal("internal", "secret detail").WithCause(errors.New("secret"))),
		"a panic":        func(context.Context, *connect.Request[text]) (*connect.Response[text], error) { panic("secret") },
		"from elsewhere": answering(connect.NewError(connect.CodeInternal, errors.New("secret"))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, h)
			_, err := say(t, t.Context(), w.client(t, ask, rpc.Config{}))
			if errs.KindOf(err) != errs.KindInternal || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v", err)
			}
			if got := w.log.String(); strings.Count(got, `"level":"ERROR"`) != 1 || !strings.Contains(got, "secret") || !strings.Contains(got, `"trace_id"`) {
				t.Errorf("log: %s", got)
			}
			if w.calls.Load() != 1 {
				t.Errorf("%d tries", w.calls.Load())
			}
		})
	}
}

func TestCallersThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, answering(nil))
	tests := []struct {
		name, procedure string
		header          []string
		code            connect.Code
	}{
		{"nobody", ask, nil, connect.CodeUnauthenticated},
		{"a stranger", ask, []string{"Bearer who-is-this-0123456789"}, connect.CodeUnauthenticated},
		{"an empty token", ask, []string{"Bearer "}, connect.CodeUnauthenticated},
		{"another scheme", ask, []string{"Basic " + noteKey}, connect.CodeUnauthenticated},
		{"two tokens", ask, []string{"Bearer " + noteKey, "Bearer " + noteKey}, connect.CodeUnauthenticated},
		{"half a token", ask, []string{"Bearer " + noteKey[:20]}, connect.CodeUnauthenticated},
		{"a caller of something else", ask, []string{"Bearer " + opKey}, connect.CodePermissionDenied},
		{"what nobody may", hidden, []string{"Bearer " + noteKey}, connect.CodePermissionDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			req := connect.NewRequest(wrapperspb.String("x"))
			req.Header()["Authorization"] = tt.header
			_, err := connect.NewClient[text, text](h, w.url+tt.procedure).CallUnary(t.Context(), req)
			if connect.CodeOf(err) != tt.code {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("is our own failure, not that of who is signed in", func(t *testing.T) {
		t.Parallel()
		_, err := say(t, t.Context(), w.client(t, ask, rpc.Config{Token: "who-is-this-0123456789"}))
		if errs.KindOf(err) != errs.KindInternal {
			t.Errorf("got %v", err)
		}
	})
	t.Cleanup(func() {
		if w.calls.Load() != 0 {
			t.Error("a refused call reached its procedure")
		}
		if strings.Contains(w.log.String(), "who-is-this") || strings.Contains(w.log.String(), noteKey) {
			t.Error("a token is in the log")
		}
	})
}

func TestDeadlinesShrinkFromHopToHopAndAreNeverMissing(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	w := newWorld(t, func(ctx context.Context, _ *connect.Request[text]) (*connect.Response[text], error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			deadline = time.Now().Add(time.Hour)
		}
		left <- time.Until(deadline)
		return connect.NewResponse(wrapperspb.String("")), nil
	})
	within := func(limit time.Duration) {
		t.Helper()
		if got := <-left; got > limit || got < limit/2 {
			t.Errorf("the procedure had %s, want just under %s", got, limit)
		}
	}
	c := w.client(t, ask, rpc.Config{})
	if _, err := say(t, t.Context(), c); err != nil {
		t.Fatal(err)
	}
	within(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := say(t, ctx, c); err != nil {
		t.Fatal(err)
	}
	within(time.Second)

	// A caller that says nothing.
	req := connect.NewRequest(wrapperspb.String("x"))
	req.Header().Set("Authorization", "Bearer "+noteKey)
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := connect.NewClient[text, text](h, w.url+ask).CallUnary(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	within(rpc.MaxDeadline)
}

func TestWhoGaveUp(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 10)
	w := newWorld(t, func(ctx context.Context, _ *connect.Request[text]) (*connect.Response[text], error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	t.Run("our own timeout: the other side is away", func(t *testing.T) {
		t.Parallel()
		_, err := say(t, t.Context(), w.client(t, change, rpc.Config{Timeout: 20 * time.Millisecond}))
		if e := errs.As(err); e.Kind != errs.KindUnavailable || e.RetryAfter == 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the caller's deadline", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := say(t, ctx, w.client(t, change, rpc.Config{})); errs.KindOf(err) != errs.KindTimeout {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the caller left", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-entered
			cancel()
		}()
		if _, err := say(t, ctx, w.client(t, change, rpc.Config{Timeout: time.Minute})); errs.KindOf(err) != errs.KindCanceled && errs.KindOf(err) != errs.KindUnavailable {
			t.Errorf("got %v", err)
		}
		cancel()
	})
}

func TestOnlyIdempotentCallsAreTriedAgainAndOnlyWhenNobodyWasThere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, procedure string
		err             error
		calls           int32
	}{
		{"idempotent, away", ask, errs.Unavailable("db-away", ""), 3},
		{"idempotent, refused", ask, errs.NotFound("not-found", ""), 1},
		{"idempotent, broken", ask, errors.New("boom"), 1},
		{"not idempotent, away", change, errs.Unavailable("db-away", ""), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, answering(tt.err))
			if _, err := say(t, t.Context(), w.client(t, tt.procedure, rpc.Config{})); errs.KindOf(err) != errs.KindOf(tt.err) {
				t.Errorf("got %v", err)
			}
			if got := w.calls.Load(); got != tt.calls {
				t.Errorf("%d calls, want %d", got, tt.calls)
			}
		})
	}
	t.Run("and one that works the second time", func(t *testing.T) {
		t.Parallel()
		var n atomic.Int32
		w := newWorld(t, func(_ context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
			if n.Add(1) == 1 {
				return nil, errs.Unavailable("db-away", "")
			}
			return connect.NewResponse(r.Msg), nil
		})
		if got, err := say(t, t.Context(), w.client(t, ask, rpc.Config{})); got != "hello" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestAServiceThatIsAwayIsUnavailableAndThenRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	h, opts := rpc.NewClient(rpc.Config{URL: s.URL, Token: noteKey}, telemetry.Discard())
	c := connect.NewClient[text, text](h, s.URL+change, opts...)
	for range 10 {
		if _, err := say(t, t.Context(), c); errs.KindOf(err) != errs.KindUnavailable {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := say(t, t.Context(), c); errs.KindOf(err) != errs.KindUnavailable || !strings.Contains(err.Error(), "circuit breaker open") {
		t.Errorf("got %v", err)
	}
}

func TestAnswersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]errs.Kind{
		http.StatusBadGateway: errs.KindUnavailable, http.StatusServiceUnavailable: errs.KindUnavailable, http.StatusNotFound: errs.KindInternal,
		http.StatusUnauthorized: errs.KindInternal, http.StatusForbidden: errs.KindInternal, http.StatusFound: errs.KindInternal, http.StatusInternalServerError: errs.KindInternal,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://evil.test/")
			w.WriteHeader(status)
		}))
		h, opts := rpc.NewClient(rpc.Config{URL: s.URL, Token: noteKey}, telemetry.Discard())
		if _, err := say(t, t.Context(), connect.NewClient[text, text](h, s.URL+change, opts...)); errs.KindOf(err) != want {
			t.Errorf("%d: got %v", status, err)
		}
		h.CloseIdleConnections()
		s.Close()
	}
}

func TestAMessageThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, answering(nil))
	c := w.client(t, change, rpc.Config{}, connect.WithSendMaxBytes(0)) // have the server refuse
	_, err := c.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(strings.Repeat("x", 3<<19))))
	if errs.CodeOf(err) != "message-too-large" || w.calls.Load() != 0 {
		t.Errorf("got %v", err)
	}
}

func TestPlainHandlersNeedNoCallerAndNothingElseIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, answering(nil))
	for path, want := range map[string]string{"/.well-known/jwks.json": "200 keys", "/api/v1/notes": "404", "/test.v1.TestService/Nothing": "404"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if got := fmt.Sprint(res.StatusCode, " ", string(body)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

func TestStaticCallers(t *testing.T) {
	t.Parallel()
	for _, list := range []config.Secret{"", "note", "=0123456789abcdef", "note=short", "note=0123456789abcdef,", "a=0123456789abcdef,b=0123456789abcdef"} {
		if _, err := rpc.NewStaticCallers(list); err == nil || strings.Contains(err.Error(), "0123456789abcdef") || strings.Contains(err.Error(), "short") {
			t.Errorf("%q: %v", list.Reveal(), err)
		}
	}
	c, err := rpc.NewStaticCallers("note=old-token-0123456789, note=new-token-0123456789,operator=a=b=c=0123456789")
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"old-token-0123456789": "note", "new-token-0123456789": "note", "a=b=c=0123456789": "operator", "": "", "note": ""} {
		if got, _ := c.Caller(t.Context(), token); got != (rpc.Caller{Name: want}) {
			t.Errorf("%q is %+v, want %q", token, got, want)
		}
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	type settings struct {
		User rpc.Config `envPrefix:"USER_RPC_"`
	}
	for url, ok := range map[string]bool{"http://user:8082": true, "https://user": true, "user:8082": false, "ftp://user": false} {
		_, err := config.Load[settings](config.Map(map[string]string{"USER_RPC_URL": url, "USER_RPC_TOKEN": noteKey}))
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "USER_RPC_URL is not a URL") {
			t.Errorf("%q: %v", url, err)
		}
	}
	h, opts := rpc.NewClient(rpc.Config{URL: "user:8082"}, telemetry.Discard())
	if _, err := say(t, t.Context(), connect.NewClient[text, text](h, "http://user"+change, opts...)); errs.KindOf(err) != errs.KindInternal {
		t.Errorf("got %v", err)
	}
}
