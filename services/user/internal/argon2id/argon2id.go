// Package argon2id hashes passwords, in the PHC string format.
//
// It promises: never more than a set number of hashes at a time in this process, however many ask (each takes 19 MiB and a core); a bounded
// queue before them, and errs.Unavailable beyond it; the same work whether or not there is a hash to compare with. Passwords are compared
// in Unicode's composed form, so that two keyboards spell the same one.
package argon2id

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
)

const (
	saltSize = 16
	keySize  = 32
)

// Default is OWASP's second choice of parameters: 19 MiB and two passes, about 28 ms of one core.
func Default() Params { return Params{Time: 2, Memory: 19 * 1024, Threads: 1} }

// Limits of the process: how many hashes at once, and how many callers may wait for their turn.
type Limits struct {
	Parallel, Queue int
	// Frugal collects the memory of one hash before the next. Left to itself, the collector comes late for so few and so large pieces, and a small
	// container is killed for it; it costs about a tenth of the time of a hash.
	Frugal bool
}

// Hasher is a person.Hasher. Share one: the limits are its own.
type Hasher struct {
	params  Params
	nobody  hash
	turns   chan struct{}
	waiting atomic.Int64
	queue   int64
	frugal  bool
}

// New is a hasher that makes hashes with params.
func New(params Params, limits Limits) *Hasher {
	return &Hasher{
		params: params,
		nobody: hash{Params: params, salt: make([]byte, saltSize), key: make([]byte, keySize)},
		turns:  make(chan struct{}, max(1, limits.Parallel)),
		queue:  int64(max(0, limits.Queue)),
		frugal: limits.Frugal,
	}
}

// Hash makes a hash with a new salt.
func (h *Hasher) Hash(ctx context.Context, password string) (person.PasswordHash, error) {
	made := hash{Params: h.params, salt: make([]byte, saltSize)}
	if _, err := rand.Read(made.salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	key, err := h.derive(ctx, made, password)
	if err != nil {
		return "", err
	}
	made.key = key
	return person.PasswordHash(made.String()), nil
}

// Verify reports whether password made stored, and whether stored was made with less than today's parameters.
func (h *Hasher) Verify(ctx context.Context, stored person.PasswordHash, password string) (ok, outdated bool, err error) {
	against, known := h.nobody, false
	if stored != "" {
		if against, err = parse(string(stored)); err != nil {
			return false, false, err
		}
		known = true
	}
	key, err := h.derive(ctx, against, password)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(key, against.key) == 1
	return same && known, against.Params != h.params, nil
}

func (h *Hasher) derive(ctx context.Context, with hash, password string) ([]byte, error) {
	if err := h.turn(ctx); err != nil {
		return nil, err
	}
	defer func() { <-h.turns }()
	if h.frugal {
		runtime.GC()
	}
	return argon2.IDKey([]byte(norm.NFC.String(password)), with.salt, with.Time, with.Memory, with.Threads, keySize), nil
}

// turn waits for one of the process's turns, in a queue that is not joined when it is full.
func (h *Hasher) turn(ctx context.Context) error {
	select {
	case h.turns <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.queue {
		return busy()
	}
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return busy().WithCause(ctx.Err())
		}
		return ctx.Err()
	}
}

func busy() *errs.Error {
	return errs.Unavailable("busy", "Too many people are signing in at the moment.").WithRetryAfter(2 * time.Second)
}
