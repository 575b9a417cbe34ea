package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/tenant"
	"noteworks.dev/services/internal/errs"
)

// users stands for the user service: it answers by host.
type users struct {
	mu      sync.Mutex
	hosts   map[string]string // id by host
	away    bool
	hang    chan struct{} // nil: answer at once
	asked   atomic.Int64
	hostsIn []string
}

func (u *users) RoundTrip(r *http.Request) (*http.Response, error) {
	u.asked.Add(1)
	u.mu.Lock()
	hang := u.hang
	u.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hostsIn = append(u.hostsIn, r.Host)
	if u.away {
		return nil, errors.New("connection refused")
	}
	id, ok := u.hosts[r.Host]
	if !ok {
		return answer(http.StatusNotFound, `{"code":"workspace-not-found"}`), nil
	}
	return answer(http.StatusOK, fmt.Sprintf(`{"id":%q,"slug":"s","title":"T","signUp":"open"}`, id)), nil
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func (u *users) set(change func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change()
}

// clock is a time that moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func start(t *testing.T) (*tenant.Directory, *users, *clock) {
	t.Helper()
	u := &users{hosts: map[string]string{"a.localhost": "id-a", "localhost": "id-default"}}
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	d := tenant.New("http://user:8081/", u, c.Now)
	t.Cleanup(d.Close)
	return d, u, c
}

func requireID(t *testing.T, d *tenant.Directory, host, want string) {
	t.Helper()
	w, err := d.Find(t.Context(), host)
	if err != nil || w.ID != want {
		t.Errorf("%s is %q, %v; not %q", host, w.ID, err, want)
	}
}

func requireUnknown(t *testing.T, d *tenant.Directory, host string) {
	t.Helper()
	if w, err := d.Find(t.Context(), host); errs.CodeOf(err) != "workspace-not-found" {
		t.Errorf("%s is %+v, %v", host, w, err)
	}
}

func TestAnAnswerIsRemembered(t *testing.T) {
	t.Parallel()
	d, u, c := start(t)
	for _, host := range []string{"a.localhost", "A.LocalHost", "a.localhost:8080", "a.localhost.", "a.localhost"} {
		requireID(t, d, host, "id-a")
	}
	requireUnknown(t, d, "b.localhost")
	requireUnknown(t, d, "b.localhost")
	if n := u.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	c.pass(6 * time.Second)
	u.set(func() { u.hosts["b.localhost"] = "id-b" })
	requireID(t, d, "b.localhost", "id-b")
}

func TestNamesThatCannotBeOursAreNotAskedFor(t *testing.T) {
	t.Parallel()
	d, u, _ := start(t)
	for _, host := range []string{"", ":80", "a b", "a_b.localhost", "a/b", "ä.localhost", "a;b", "*.localhost", ">", strings.Repeat("a", 254), "a.localhost\x00"} {
		requireUnknown(t, d, host)
	}
	if n := u.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestWhatIsKnownStaysGoodWhileTheUserServiceIsAway(t *testing.T) {
	t.Parallel()
	d, u, c := start(t)
	requireID(t, d, "a.localhost", "id-a")
	u.set(func() { u.away = true })
	for range 10 {
		c.pass(time.Hour)
		requireID(t, d, "a.localhost", "id-a")
	}
	if _, err := d.Find(t.Context(), "localhost"); errs.KindOf(err) != errs.KindUnavailable {
		t.Errorf("unknown so far: %v", err)
	}
}

func TestARemovedWorkspaceIsSeenAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	d, u, c := start(t)
	requireID(t, d, "a.localhost", "id-a")
	u.set(func() { delete(u.hosts, "a.localhost") })
	c.pass(31 * time.Second)
	requireID(t, d, "a.localhost", "id-a") // this one starts the renewal
	d.Close()                              // waits for it
	requireUnknown(t, d, "a.localhost")
}

func TestAChangeIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	d, u, _ := start(t)
	requireID(t, d, "a.localhost", "id-a")
	requireID(t, d, "localhost", "id-default")
	requireUnknown(t, d, "new.localhost")
	u.set(func() {
		delete(u.hosts, "a.localhost")
		u.hosts["new.localhost"] = "id-new"
	})
	d.Changed("id-a")
	requireUnknown(t, d, "a.localhost")
	requireID(t, d, "new.localhost", "id-new")
	if asked := u.asked.Load(); asked != 5 {
		t.Errorf("asked %d times", asked)
	}
}

func TestThePolicyOfAWorkspaceIsKnown(t *testing.T) {
	t.Parallel()
	body := `{"id":"id-a","slug":"s","title":"T","signUp":"open","suspended":true,"requestsPerMinute":60}`
	d := tenant.New("http://user", roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, body), nil }), time.Now)
	defer d.Close()
	if w, err := d.Find(t.Context(), "a.localhost"); err != nil || !w.Suspended || w.RequestsPerMinute != 60 {
		t.Errorf("%+v, %v", w, err)
	}
}

// beforeAndAfter answers the first question late, with what was so before it was answered, and the others with what is so now.
func beforeAndAfter(t *testing.T, before, after *http.Response) (d *tenant.Directory, asked chan struct{}, answered chan struct{}) {
	t.Helper()
	asked, answered = make(chan struct{}), make(chan struct{})
	var questions atomic.Int64
	d = tenant.New("http://user", roundTrip(func(*http.Request) (*http.Response, error) {
		if questions.Add(1) > 1 {
			return after, nil
		}
		close(asked)
		<-answered
		return before, nil
	}), time.Now)
	t.Cleanup(d.Close)
	return d, asked, answered
}

func TestAnAnswerFromBeforeAChangeIsGivenToNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after *http.Response }{
		"suspended": {answer(200, `{"id":"id-a"}`), answer(200, `{"id":"id-a","suspended":true}`)},
		"resumed":   {answer(200, `{"id":"id-a","suspended":true}`), answer(200, `{"id":"id-a"}`)},
		"removed":   {answer(200, `{"id":"id-a"}`), answer(404, `{}`)},
		"new":       {answer(404, `{}`), answer(200, `{"id":"id-a","suspended":true}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFound, wantSuspended := c.after.StatusCode == 200, name == "suspended" || name == "new"
			d, asked, answered := beforeAndAfter(t, c.before, c.after)
			require := func() {
				w, err := d.Find(t.Context(), "a.localhost")
				if (err == nil) != wantFound || w.Suspended != wantSuspended {
					t.Errorf("%+v, %v", w, err)
				}
			}
			var all sync.WaitGroup
			all.Go(require)
			<-asked
			d.Changed("id-a")
			all.Go(require) // waits for the answer to a question that was asked before the change
			close(answered)
			all.Wait()
			require()
		})
	}
}

func TestAChangeElsewhereDoesNotSpoilAnAnswer(t *testing.T) {
	t.Parallel()
	d, asked, answered := beforeAndAfter(t, answer(200, `{"id":"id-a"}`), answer(500, ``))
	var all sync.WaitGroup
	all.Go(func() { requireID(t, d, "a.localhost", "id-a") })
	<-asked
	d.Changed("id-b")
	close(answered)
	all.Wait()
	requireID(t, d, "a.localhost", "id-a")
}

func TestWhatIsBeingRenewedWhenItChangesIsNotGivenAfterwards(t *testing.T) {
	t.Parallel()
	d, u, c := start(t)
	requireID(t, d, "a.localhost", "id-a")
	c.pass(time.Minute)
	hang := make(chan struct{})
	u.set(func() { u.hang = hang })
	requireID(t, d, "a.localhost", "id-a") // stale, and asked for again
	d.Changed("id-a")
	u.set(func() {
		u.hang = nil
		u.hosts["a.localhost"] = "id-new"
	})
	close(hang)
	for range 10 {
		requireID(t, d, "a.localhost", "id-new")
	}
}

func TestManyQuestionsForOneHostAreOne(t *testing.T) {
	t.Parallel()
	d, u, _ := start(t)
	hang := make(chan struct{})
	u.set(func() { u.hang = hang })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { requireID(t, d, "a.localhost", "id-a") })
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := d.Find(gone, "a.localhost"); !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	close(hang)
	all.Wait()
	if n := u.asked.Load(); n > 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestAFloodOfHostsAsksAFewAtATime(t *testing.T) {
	t.Parallel()
	d, u, _ := start(t)
	hang := make(chan struct{})
	u.set(func() { u.hang = hang })
	var all sync.WaitGroup
	var refused atomic.Int64
	for i := range 200 {
		all.Go(func() {
			if _, err := d.Find(t.Context(), fmt.Sprintf("h%d.localhost", i)); errs.KindOf(err) == errs.KindUnavailable {
				refused.Add(1)
			}
			if refused.Load() == 150 {
				u.set(func() {
					if u.hang != nil {
						close(hang)
						u.hang = nil
					}
				})
			}
		})
	}
	all.Wait()
	if n := u.asked.Load(); n > 50 {
		t.Errorf("asked %d times", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	d, u, _ := start(t)
	for i := range 3000 {
		requireUnknown(t, d, fmt.Sprintf("h%d.localhost", i))
	}
	before := u.asked.Load()
	for i := range 3000 {
		requireUnknown(t, d, fmt.Sprintf("h%d.localhost", i))
	}
	if again := u.asked.Load() - before; again < 1500 {
		t.Errorf("only %d were forgotten", again)
	}
}

func TestAnAnswerWithoutSenseIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"no id": `{"slug":"s"}`, "no JSON": `<html>`, "empty": ``} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tenant.New("http://user", roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, body), nil }), time.Now)
			defer d.Close()
			if _, err := d.Find(t.Context(), "a.localhost"); errs.KindOf(err) != errs.KindUnavailable {
				t.Errorf("%v", err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
