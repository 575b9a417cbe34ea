package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"noteworks.dev/services/internal/errs"
)

const (
	fetchTimeout = 2 * time.Second
	maxKeySet    = 64 << 10
	// A known key is trusted this long before the set is read again, which is how a withdrawn key ends.
	refreshAfter = 5 * time.Minute
	// Unknown ids may ask the issuer fetchBurst times at once and then every fetchEvery: a few rotations in a row are seen
	// at once, and a flood of invented ids is nearly free.
	fetchBurst = 4
	fetchEvery = 5 * time.Second
	// A failed fetch costs none of that, so that keys are there soon after the issuer is.
	retryEvery = time.Second
)

// JWKS is the KeySource of services that do not sign: the issuer's published key set, read when an unknown key id appears.
// While the issuer is away the keys last seen stay good.
type JWKS struct {
	url    string
	client *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	read    time.Time // of the last success
	tried   time.Time
	failure error // of the last try
	asking  bool  // a fetch is under way
	unknown *rate.Limiter
}

// NewJWKS reads the key set at url with client. Nothing is fetched before the first Key.
func NewJWKS(url string, client *http.Client, now func() time.Time) *JWKS {
	return &JWKS{url: url, client: client, now: now, unknown: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst)}
}

// Key answers from memory, and asks the issuer for an id it does not know, within the limits above.
func (j *JWKS) Key(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	key, ok, fetch := j.known(kid)
	switch {
	case ok && fetch:
		go j.refresh(context.WithoutCancel(ctx)) // ends after fetchTimeout; this request has its key already
		return key, nil
	case ok:
		return key, nil
	case !fetch:
		return nil, j.missing()
	}
	select {
	case <-j.start(context.WithoutCancel(ctx)): // shared with others, so that one who leaves must not end it
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if key, ok, _ := j.look(kid); ok {
		return key, nil
	}
	return nil, j.missing()
}

// known looks kid up and reports whether it is time to ask the issuer, either way.
func (j *JWKS) known(kid string) (key ed25519.PublicKey, ok, fetch bool) {
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
		return nil, false, true
	case j.failure != nil:
		fetch = elapsed(j.tried, now) >= retryEvery
	default:
		fetch = j.unknown.AllowN(now, 1)
	}
	j.asking = fetch
	return nil, false, fetch
}

func (j *JWKS) look(kid string) (key ed25519.PublicKey, ok bool, age time.Duration) {
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
func (j *JWKS) missing() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failure != nil {
		return errs.Unavailable("sign-in-unavailable", "Access tokens cannot be checked at the moment.").WithCause(j.failure).WithRetryAfter(retryEvery)
	}
	return ErrUnknownKey
}

func (j *JWKS) start(ctx context.Context) <-chan singleflight.Result {
	return j.flight.DoChan("", func() (any, error) { return nil, j.fetchAndKeep(ctx) })
}

func (j *JWKS) refresh(ctx context.Context) { <-j.start(ctx) }

// fetchAndKeep replaces the keys as a whole; a failure leaves them as they are and is remembered.
func (j *JWKS) fetchAndKeep(ctx context.Context) error {
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

func (j *JWKS) fetch(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, fmt.Errorf("key set request: %w", err)
	}
	res, err := j.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up; nothing to learn
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read key set: the issuer answers %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet))
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	return parseKeySet(body)
}

type keySet struct {
	Keys []jwk `json:"keys"`
}

// jwk is an Ed25519 public key as RFC 8037 writes it.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	ID        string `json:"kid"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	X         string `json:"x"`
}

// KeySetDocument is what the issuer publishes, sorted by key id.
func KeySetDocument(keys map[string]ed25519.PublicKey) ([]byte, error) {
	set := keySet{Keys: make([]jwk, 0, len(keys))}
	for kid, key := range keys {
		set.Keys = append(set.Keys, jwk{"OKP", "Ed25519", kid, "sig", "EdDSA", base64.RawURLEncoding.EncodeToString(key)})
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int { return strings.Compare(a.ID, b.ID) })
	return json.Marshal(set)
}

// parseKeySet takes the Ed25519 keys and leaves others be. A set without any is a failure, not a withdrawal of all.
func parseKeySet(body []byte) (map[string]ed25519.PublicKey, error) {
	var set keySet
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize || k.Type != "OKP" || k.Curve != "Ed25519" || !plainKid(k.ID) {
			continue
		}
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		keys[k.ID] = x
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: no Ed25519 key in it")
	}
	return keys, nil
}
