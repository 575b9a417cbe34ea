package balance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"noteworks.dev/services/internal/balance"
	"noteworks.dev/services/internal/httpserver"
	"noteworks.dev/services/internal/telemetry"
)

// rollout is an upstream of replicas that are replaced, one after the other, under load.
type rollout struct {
	t       *testing.T
	names   *names
	port    uint16
	next    int
	running map[string]*httpserver.Server
	taken   atomic.Int64
}

// surge starts one more replica, at an address that nobody has had.
func (r *rollout) surge(linger time.Duration) string {
	r.t.Helper()
	r.next++
	addr := fmt.Sprintf("127.0.1.%d", r.next)
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.taken.Add(1)
		body, _ := io.ReadAll(req.Body) // all of it first: HTTP/1.1 servers read nothing more once they answer
		_, _ = w.Write(body)
	})
	s := httpserver.New(addr, fmt.Sprintf("%s:%d", addr, r.port), h, telemetry.Discard(), httpserver.WithLinger(linger))
	if err := s.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.port = netip.MustParseAddrPort(s.Addr()).Port()
	r.running[addr] = s
	r.publish()
	return addr
}

func (r *rollout) publish(without ...string) {
	var addrs []string
	for addr := range r.running {
		if len(without) == 0 || addr != without[0] {
			addrs = append(addrs, addr)
		}
	}
	r.names.set(nil, addrs...)
}

func (r *rollout) stop(addr string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.running[addr].Stop(ctx); err != nil {
		r.t.Errorf("stop %s: %v", addr, err)
	}
	delete(r.running, addr)
}

// send is one request of a kind, whose answer must be what was sent. With careful, all of them may be sent again.
func (r *rollout) send(tr *balance.Transport, n int, careful bool) error {
	method, body := http.MethodGet, ""
	switch n % 4 {
	case 1:
		method, body = http.MethodPost, "a new note"
	case 2:
		method, body = http.MethodPatch, strings.Repeat("a longer text ", 500)
	case 3:
		method, body = http.MethodPost, strings.Repeat("too long to be kept ", 5000)
		if careful {
			body = body[:60_000]
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://team.example/", strings.NewReader(body))
	if err != nil {
		return err
	}
	if careful {
		req.Header.Set("Idempotency-Key", strconv.Itoa(n))
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || string(got) != body) {
		return fmt.Errorf("%s answers %d and %d bytes, not %d", method, res.StatusCode, len(got), len(body))
	}
	return err
}

// TestNoRequestFailsWhileEachReplicaIsReplaced runs the order of things of a rollout in Kubernetes: the new one is ready and in DNS; the old one leaves DNS,
// lives on during preStop, and drains. Without preStop some callers may have just connected when the port is closed, and the kernel resets what nobody has
// accepted: then only what may be sent again is sure to be answered.
func TestNoRequestFailsWhileEachReplicaIsReplaced(t *testing.T) { //nolint:paralleltest // it keeps the machine busy by itself
	for name, c := range map[string]struct{ preStop, linger time.Duration }{
		"as in a cluster":                     {2500 * time.Millisecond, time.Second},
		"DNS is late: it still names the old": {0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rollout{t: t, names: &names{}, running: map[string]*httpserver.Server{}}
			old := []string{r.surge(c.linger), r.surge(c.linger)}
			tr, err := balance.New("note", fmt.Sprintf("http://note.test:%d", r.port), telemetry.Discard(), balance.WithResolver(r.names))
			if err != nil {
				t.Fatal(err)
			}
			defer tr.CloseIdleConnections()

			var sent, failed atomic.Int64
			load, end := context.WithCancel(t.Context())
			var crowd sync.WaitGroup
			for worker := range 8 {
				crowd.Go(func() {
					for n := worker; load.Err() == nil; n++ {
						if err := r.send(tr, n, c.preStop == 0); err != nil && failed.Add(1) < 10 {
							t.Error(err)
						}
						sent.Add(1)
						pace(load, 2*time.Millisecond)
					}
				})
			}
			flow := func() { // a step of the rollout sees load, however busy the machine is
				t.Helper()
				const some = 150
				until, limit := sent.Load()+some, time.Now().Add(time.Minute)
				for sent.Load() < until {
					if time.Now().After(limit) {
						t.Fatal("the load does not flow")
					}
					pace(load, 10*time.Millisecond)
				}
			}
			for _, addr := range old {
				flow()
				r.surge(c.linger)
				flow()
				if c.preStop > 0 {
					r.publish(addr)
					pace(load, c.preStop)
				}
				r.stop(addr)
				r.publish()
				flow()
			}
			end()
			crowd.Wait()
			t.Logf("%d requests, %d taken by a replica, %d failed", sent.Load(), r.taken.Load(), failed.Load())
			if twice := r.taken.Load() - sent.Load(); twice < 0 || twice > 0 && c.preStop > 0 {
				t.Errorf("%d requests were taken %d times", sent.Load(), r.taken.Load())
			}
			for addr := range r.running {
				r.stop(addr)
			}
		})
	}
}

// pace waits; it is the load's rhythm and the rollout's, not a wait for something.
func pace(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func TestAddressesThatAllVanishAreFoundAgainWithoutAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami), "127.0.0.1")
	// Everything it knows is gone, and DNS already names the others. Nobody has asked for an hour, or for a second.
	for _, idle := range []time.Duration{time.Second, time.Hour} {
		w.names.set(nil, "127.0.0.9")
		w.clock.move(time.Minute)
		_, _ = w.send(t, http.MethodGet, nil) // learns an address at which nobody is
		w.replica(t, fmt.Sprintf("127.0.0.%d", 2+idle/time.Hour), http.HandlerFunc(whoami))
		w.names.set(nil, fmt.Sprintf("127.0.0.%d", 2+idle/time.Hour))
		w.clock.move(idle)
		for range 3 {
			if got, err := w.send(t, http.MethodPost, strings.NewReader("x")); err != nil || !strings.HasPrefix(got, "x127.0.0.") {
				t.Errorf("after %v: %q, %v", idle, got, err)
			}
		}
	}
}

func TestAShortBodyIsSentAgainWhenThatIsAsGoodAsOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if calls.Add(1)%2 == 1 {
			broken(rw, r)
			return
		}
		whoami(rw, r)
	}), "127.0.0.1", "127.0.0.2")
	for _, c := range []struct {
		method, key string
		length      int
		again       bool
	}{
		{http.MethodPut, "", 10, true},
		{http.MethodPut, "", 64 << 10, true},
		{http.MethodPut, "", 64<<10 + 1, false},
		{http.MethodPost, "key", 10, true},
		{http.MethodPost, "", 10, false},
		{http.MethodPatch, "", 10, false},
		{http.MethodDelete, "", 10, false},
	} {
		calls.Store(0)
		body := strings.Repeat("x", c.length)
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://team.example/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if c.key != "" {
			r.Header.Set("Idempotency-Key", c.key)
		}
		got, err := w.sendRequest(r)
		if c.again != (err == nil && strings.HasPrefix(got, body)) || c.again != (calls.Load() == 2) {
			t.Errorf("%s of %d bytes, key %q: %d calls, %v", c.method, c.length, c.key, calls.Load(), err)
		}
	}
}

// stuck is a body that never comes, whatever ends.
type stuck struct{ end <-chan struct{} }

func (s stuck) Read([]byte) (int, error) {
	<-s.end
	return 0, io.ErrUnexpectedEOF
}

func TestAShortBodyThatDoesNotComeEndsWithTheDeadlineAndBlamesNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(whoami), "127.0.0.1")
	end := make(chan struct{})
	defer close(end)
	for range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		r, err := http.NewRequestWithContext(ctx, http.MethodPatch, "http://team.example/", stuck{end})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 100
		began := time.Now()
		if _, err := w.sendRequest(r); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		cancel()
	}
	if got, err := w.send(t, http.MethodGet, nil); got != "127.0.0.1" || err != nil {
		t.Errorf("others are shut out: %q, %v", got, err)
	}
}

func TestAConnectionThatWasClosedWhileIdleCostsNoRequest(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(whoami), ReadHeaderTimeout: time.Second, IdleTimeout: time.Millisecond}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	tr, err := balance.New("note", "http://"+ln.Addr().String(), telemetry.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	w := &world{t: tr}
	for i := range 300 {
		if got, err := w.send(t, http.MethodGet, nil); err != nil || got != "127.0.0.1" {
			t.Fatalf("request %d: %q, %v", i, got, err)
		}
		pace(t.Context(), time.Duration(i%5)*500*time.Microsecond)
	}
}
