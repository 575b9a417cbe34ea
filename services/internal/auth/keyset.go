package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"noteworks.dev/services/internal/errs"
)

const (
	fetchTimeout = 2 * time.Second
	// A known key is trusted this long before the set is read again, which is how a withdrawn key ends.
	refreshAfter = 5 * time.Minute
	// Unknown ids may ask the issuer fetchBurst times at once and then every fetchEvery: a few rotations in a row are seen
	// at once, and a flood of invented ids is nearly free.
	fetchBurst = 4
	fetchEvery = 5 * time.Second
	// A failed fetch costs none of that, so that keys are there soon after the issuer is.
	retryEvery = time.Second
)

// KeySet is an issuer's published keys by their ids, read when it is started, now and then, and when an unknown id appears. While the issuer is away the keys
// last seen stay good.
type KeySet[K any] struct {
	fetch  func(context.Context) (map[string]K, error)
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	keys    map[string]K
	read    time.Time // of the last success
	tried   time.Time
	failure error // of the last try
	asking  bool  // a fetch is under way
	unknown *rate.Limiter
	ended   bool
	stop    context.CancelFunc // set by Start
	done    sync.WaitGroup
}

// NewKeySet reads the keys by fetch, which has two seconds for it. Nothing is fetched before Start or the first Key.
func NewKeySet[K any](fetch func(context.Context) (map[string]K, error), now func() time.Time) *KeySet[K] {
	return &KeySet[K]{fetch: fetch, now: now, unknown: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst)}
}

// Start has the keys read at once and then every refreshAfter, whether somebody asks for one or not: who has been asked for none when the issuer goes away
// would have none. It waits for none of it; its error is that it was started or stopped before.
func (j *KeySet[K]) Start(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended || j.stop != nil {
		return errors.New("key set: started before")
	}
	ctx, stop := context.WithCancel(context.Background())
	j.stop = stop
	j.done.Go(func() { j.keep(ctx) })
	return nil
}

// Stop ends what Start began. Its error is nil.
func (j *KeySet[K]) Stop(context.Context) error {
	j.mu.Lock()
	j.ended = true
	if j.stop != nil {
		j.stop()
	}
	j.mu.Unlock()
	j.done.Wait()
	return nil
}

// Ready is an error until the keys have been read once.
func (j *KeySet[K]) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.keys == nil {
		return fmt.Errorf("the keys of access tokens have not been read yet: %w", cmp.Or(j.failure, errNotTried))
	}
	return nil
}

var errNotTried = errors.New("they have not been asked for")

func (j *KeySet[K]) keep(ctx context.Context) {
	for {
		pause := refreshAfter
		select {
		case read := <-j.start(ctx):
			if read.Err != nil {
				pause = retryEvery
			}
		case <-ctx.Done():
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Key answers from memory, and asks the issuer for an id it does not know, within the limits above.
func (j *KeySet[K]) Key(ctx context.Context, kid string) (key K, err error) {
	key, ok, fetch := j.known(kid)
	switch {
	case ok && fetch:
		go j.refresh(context.WithoutCancel(ctx)) // ends after fetchTimeout; this request has its key already
		return key, nil
	case ok:
		return key, nil
	case !fetch:
		return key, j.missing()
	}
	select {
	case <-j.start(context.WithoutCancel(ctx)): // shared with others, so that one who leaves must not end it
	case <-ctx.Done():
		return key, ctx.Err()
	}
	if key, ok, _ = j.look(kid); ok {
		return key, nil
	}
	return key, j.missing()
}

// known looks kid up and reports whether it is time to ask the issuer, either way.
func (j *KeySet[K]) known(kid string) (key K, ok, fetch bool) {
	key, ok, age := j.look(kid)
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	switch {
	case ok && age < refreshAfter:
		return key, true, false
	case ok && elapsed(j.tried, now) >= fetchEvery:
		j.tried = now // so that only one of many requests starts it
		return key, true, true
	case ok:
		return key, true, false
	case j.asking: // for somebody else; its answer is for all
		return key, false, true
	case j.failure != nil:
		fetch = elapsed(j.tried, now) >= retryEvery
	default:
		fetch = j.unknown.AllowN(now, 1)
	}
	j.asking = fetch
	return key, false, fetch
}

func (j *KeySet[K]) look(kid string) (key K, ok bool, age time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key, ok = j.keys[kid]
	return key, ok, elapsed(j.read, j.now())
}

// elapsed takes a clock that went back for one that stood long: better one fetch too many than none for an hour.
func elapsed(since, now time.Time) time.Duration {
	d := now.Sub(since)
	if d < 0 {
		return refreshAfter
	}
	return d
}

// missing says why there is no key: the issuer does not know it, or cannot be asked.
func (j *KeySet[K]) missing() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return errs.Unavailable("sign-in-unavailable", "Access tokens cannot be checked at the moment.").WithCause(j.failure).WithRetryAfter(retryEvery)
	}
	return ErrUnknownKey
}

func (j *KeySet[K]) start(ctx context.Context) <-chan singleflight.Result {
	return j.flight.DoChan("", func() (any, error) { return nil, j.fetchAndKeep(ctx) })
}

func (j *KeySet[K]) refresh(ctx context.Context) { <-j.start(ctx) }

// fetchAndKeep replaces the keys as a whole; a failure leaves them as they are and is remembered.
func (j *KeySet[K]) fetchAndKeep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, err := j.fetch(ctx)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asking = false
	j.tried, j.failure = j.now(), err
	if err == nil {
		j.keys, j.read = keys, j.tried
	}
	return err
}
