package auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/lifecycletest"
)

// issuer is the transport to a user service that publishes keys.
type issuer struct {
	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	status  int
	body    string // instead of the keys
	fetches int
	gate    chan struct{} // when set, each fetch waits for it
}

func newIssuer() *issuer { return &issuer{keys: map[string]ed25519.PublicKey{}, status: http.StatusOK} }

func (i *issuer) rotate(t *testing.T, ids ...string) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = map[string]ed25519.PublicKey{}
	for _, id := range ids {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		i.keys[id] = public
	}
}

func (i *issuer) answers(status int, body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.body = status, body
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches++
	gate := i.gate
	i.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.status == 0 {
		return nil, errors.New("connection refused")
	}
	body := []byte(i.body)
	if i.body == "" {
		var err error
		if body, err = auth.KeySetDocument(i.keys); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: i.status, Status: http.StatusText(i.status), Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func newJWKS(i *issuer, c *clock) *auth.JWKS {
	return auth.NewJWKS("http://user.test/.well-known/jwks.json", &http.Client{Transport: i}, c.now)
}

func mustKey(t *testing.T, j *auth.JWKS, kid string) {
	t.Helper()
	if _, err := j.Key(t.Context(), kid); err != nil {
		t.Errorf("%s: %v", kid, err)
	}
}

func TestTwoRotationsInAMinuteAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	j := newJWKS(i, c)
	i.rotate(t, "a")
	mustKey(t, j, "a")
	c.move(20 * time.Second)
	i.rotate(t, "a", "b")
	mustKey(t, j, "b")
	c.move(20 * time.Second)
	i.rotate(t, "a", "b", "c")
	mustKey(t, j, "c")
	for _, id := range []string{"a", "b", "c"} {
		mustKey(t, j, id)
	}
	if got := i.count(); got != 3 {
		t.Errorf("%d fetches", got)
	}
}

func TestAFloodOfInventedKeysIsNearlyFree(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	j := newJWKS(i, c)
	i.rotate(t, "a")
	mustKey(t, j, "a")
	for second := range 60 {
		for n := range 100 {
			if _, err := j.Key(t.Context(), fmt.Sprintf("x-%d-%d", second, n)); !errors.Is(err, auth.ErrUnknownKey) {
				t.Fatalf("got %v", err)
			}
		}
		c.move(time.Second)
	}
	if got := i.count(); got > 4+12+1 {
		t.Errorf("%d fetches in a minute", got)
	}
	mustKey(t, j, "a")
	c.move(5 * time.Second)
	i.rotate(t, "a", "b")
	mustKey(t, j, "b")
}

func TestWhileTheIssuerIsAwayKnownKeysStayGood(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	j := newJWKS(i, c)
	i.rotate(t, "a")
	mustKey(t, j, "a")
	i.answers(0, "")
	c.move(time.Hour)
	mustKey(t, j, "a")
	_, err := j.Key(t.Context(), "b")
	if errs.KindOf(err) != errs.KindUnavailable || errs.CodeOf(err) != "sign-in-unavailable" {
		t.Errorf("an unknown key cannot be judged now, got %v", err)
	}
	fetches := i.count()
	for range 100 {
		if _, err := j.Key(t.Context(), "b"); errs.KindOf(err) != errs.KindUnavailable {
			t.Fatalf("got %v", err)
		}
	}
	if got := i.count(); got != fetches {
		t.Errorf("%d fetches in the same second", got-fetches)
	}
	i.answers(http.StatusOK, "")
	i.rotate(t, "a", "b")
	c.move(time.Second)
	mustKey(t, j, "b")
	mustKey(t, j, "a")
}

func TestAServiceThatStartsBeforeTheIssuerFindsTheKeysASecondAfterIt(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	j := newJWKS(i, c)
	i.answers(http.StatusServiceUnavailable, "x")
	for range 30 {
		if _, err := j.Key(t.Context(), "a"); errs.KindOf(err) != errs.KindUnavailable {
			t.Fatalf("got %v", err)
		}
		c.move(time.Second)
	}
	i.answers(http.StatusOK, "")
	i.rotate(t, "a")
	mustKey(t, j, "a")
}

// Whoever starts asks for the keys without having been asked for one, and then needs the issuer no more.
func TestTheKeysAreThereBeforeAnybodyNeedsThem(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	i.answers(0, "")
	j := newJWKS(i, c)
	if err := j.Ready(); err == nil {
		t.Error("ready before it has been started")
	}
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer mustStop(t, j)
	until(t, func() bool { return i.count() > 1 }) // it asks again when it got no answer
	if err := j.Ready(); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("ready without keys: %v", err)
	}
	i.rotate(t, "a")
	i.answers(http.StatusOK, "")
	until(t, func() bool { return j.Ready() == nil })
	i.answers(0, "")
	mustKey(t, j, "a")
}

func TestLifecycle(t *testing.T) { //nolint:paralleltest // compares goroutines
	i, c := newIssuer(), newClock()
	i.rotate(t, "a")
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle { return newJWKS(i, c) })
}

func mustStop(t *testing.T, j *auth.JWKS) {
	t.Helper()
	if err := j.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// It does not wait for an issuer that never answers.
func TestWhoIsStoppedAsksNoMore(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	i.gate = make(chan struct{}) // never answers
	j := newJWKS(i, c)
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return i.count() == 1 })
	mustStop(t, j)
}

func until(t *testing.T, is func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it never comes")
		}
	}
}

func TestAWithdrawnKeyEnds(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	j := newJWKS(i, c)
	i.rotate(t, "a", "b")
	mustKey(t, j, "a")
	i.rotate(t, "b")
	c.move(6 * time.Minute)
	mustKey(t, j, "a") // the last time: it has the set read again
	if _, err := j.Key(t.Context(), "x"); !errors.Is(err, auth.ErrUnknownKey) {
		t.Fatalf("got %v", err) // waits for that reading or makes its own
	}
	if _, err := j.Key(t.Context(), "a"); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("got %v", err)
	}
}

func TestAClockThatGoesBackCostsAFetchAndNothingElse(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	j := newJWKS(i, c)
	i.rotate(t, "a")
	mustKey(t, j, "a")
	c.move(-time.Hour)
	mustKey(t, j, "a")
	i.rotate(t, "a", "b")
	mustKey(t, j, "b")
}

func TestManyAskOnceAndOneWhoLeavesEndsNothing(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(), newClock()
	i.gate = make(chan struct{})
	j := newJWKS(i, c)
	i.rotate(t, "a")

	left, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := j.Key(left, "a")
		gone <- err
	}()
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var all sync.WaitGroup
	for range 50 { // many more than may ask for unknown keys: those who wait for an answer ask nothing
		all.Go(func() { mustKey(t, j, "a") })
	}
	close(i.gate)
	all.Wait()
}

func TestKeySetsThatAreRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	good := `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + strings.Repeat("A", 43) + `"}`
	tests := map[string]string{
		"no JSON":        "<html>",
		"no keys":        `{"keys":[]}`,
		"RSA":            `{"keys":[{"kty":"RSA","kid":"a","n":"x","e":"AQAB"}]}`,
		"another curve":  `{"keys":[` + strings.Replace(good, "Ed25519", "X25519", 1) + `]}`,
		"a short key":    `{"keys":[` + strings.Replace(good, "AAAA", "", 1) + `]}`,
		"for encrypting": `{"keys":[` + strings.Replace(good, `"kid"`, `"use":"enc","kid"`, 1) + `]}`,
		"a kid as path":  `{"keys":[` + strings.Replace(good, `"a"`, `"../a"`, 1) + `]}`,
		"endless":        `{"keys":[` + strings.Repeat(" ", 64<<10) + good + `]}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer()
			i.answers(http.StatusOK, body)
			if _, err := newJWKS(i, newClock()).Key(t.Context(), "a"); errs.KindOf(err) != errs.KindUnavailable {
				t.Errorf("got %v", err)
			}
		})
	}
}
