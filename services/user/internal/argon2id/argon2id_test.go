package argon2id_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/argon2id"
	"noteworks.dev/services/user/internal/person"
)

func cheap() argon2id.Params { return argon2id.Params{Time: 1, Memory: 64, Threads: 1} }

func one() argon2id.Limits { return argon2id.Limits{Parallel: 1, Queue: 8} }

func TestAPasswordMatchesItsHashAndNoOther(t *testing.T) {
	t.Parallel()
	h := argon2id.New(argon2id.Default(), one())
	const right = "the owl of minerva "
	stored, err := h.Hash(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stringOf(stored), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored as %s, want PHC format with today's parameters", stringOf(stored))
	}
	for password, want := range map[string]bool{right: true, "the owl of minerva": false, "": false, strings.Repeat("x", 1<<20): false} {
		ok, outdated, err := h.Verify(t.Context(), stored, password)
		if err != nil || ok != want || outdated {
			t.Errorf("Verify(%.20q) = %v, %v, %v; want %v", password, ok, outdated, err, want)
		}
	}
}

func TestTwoHashesOfAPasswordDiffer(t *testing.T) {
	t.Parallel()
	h := argon2id.New(cheap(), one())
	a, errA := h.Hash(t.Context(), "same")
	b, errB := h.Hash(t.Context(), "same")
	if errA != nil || errB != nil || a == b {
		t.Fatalf("the salt is not new each time: %v, %v", errA, errB)
	}
}

func TestTwoKeyboardsSpellTheSamePassword(t *testing.T) {
	t.Parallel()
	h := argon2id.New(cheap(), one())
	stored, err := h.Hash(t.Context(), "caf\u00e9 au lait")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := h.Verify(t.Context(), stored, "cafe\u0301 au lait"); err != nil || !ok {
		t.Fatalf("the decomposed spelling: %v, %v", ok, err)
	}
}

func TestNobodysPasswordIsNeverRight(t *testing.T) {
	t.Parallel()
	h := argon2id.New(cheap(), one())
	for _, password := range []string{"", "\x00", "password"} {
		if ok, _, err := h.Verify(t.Context(), "", password); ok || err != nil {
			t.Errorf("Verify of nobody = %v, %v", ok, err)
		}
	}
}

func TestAnOldHashIsOutdated(t *testing.T) {
	t.Parallel()
	old, err := argon2id.New(cheap(), one()).Hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	ok, outdated, err := argon2id.New(argon2id.Params{Time: 2, Memory: 64, Threads: 1}, one()).Verify(t.Context(), old, "right")
	if err != nil || !ok || !outdated {
		t.Fatalf("Verify = %v, %v, %v; want right and outdated", ok, outdated, err)
	}
}

func TestADamagedHashIsAnError(t *testing.T) {
	t.Parallel()
	h := argon2id.New(cheap(), one())
	for _, stored := range []string{
		"x", "$argon2id$", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43),
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43), "$argon2id$v=19$m=64,t=1,p=1$!$" + strings.Repeat("A", 43),
	} {
		if ok, _, err := h.Verify(t.Context(), person.PasswordHash(stored), "x"); ok || err == nil {
			t.Errorf("Verify with %q = %v, %v; want an error", stored, ok, err)
		}
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	slow := argon2id.New(argon2id.Params{Time: 3, Memory: 32 * 1024, Threads: 1}, argon2id.Limits{Parallel: 1, Queue: 2})
	const callers = 40
	results := make([]error, callers)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range callers {
		all.Go(func() {
			<-begin
			_, results[i] = slow.Hash(t.Context(), "x")
		})
	}
	close(begin)
	all.Wait()
	done, refused := 0, 0
	for _, err := range results {
		switch {
		case err == nil:
			done++
		case errs.KindOf(err) == errs.KindUnavailable && errs.As(err).RetryAfter > 0:
			refused++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	if done == 0 || refused == 0 {
		t.Errorf("%d hashed and %d refused; want some of both", done, refused)
	}
}

func TestAWaitingCallerCanLeave(t *testing.T) {
	t.Parallel()
	h := argon2id.New(cheap(), one())
	release := h.Occupy()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Fatalf("Hash = %v, want the context's end", err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := h.Hash(late, "x"); errs.CodeOf(err) != "busy" {
		t.Fatalf("Hash = %v, want busy: it was others' work that took the time", err)
	}
}

func TestAHashHidesItself(t *testing.T) {
	t.Parallel()
	if s := person.PasswordHash("$argon2id$secret").String(); strings.Contains(s, "secret") {
		t.Errorf("String = %q", s)
	}
}

func stringOf(h person.PasswordHash) string { return string([]byte(h)) }

// In a container of 64 MiB there is room for the memory of two hashes, and not for what others left behind.
func TestAFrugalHasherLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // it measures the process
	working := make([]byte, 64<<20) // of a service at work: the collector lets garbage grow as large
	defer runtime.KeepAlive(working)
	grown := func(frugal bool) uint64 {
		h := argon2id.New(argon2id.Default(), argon2id.Limits{Parallel: 1, Frugal: frugal})
		var before, after runtime.MemStats
		debug.FreeOSMemory()
		runtime.ReadMemStats(&before)
		var most uint64
		for range 8 {
			if _, err := h.Hash(t.Context(), "the owl of minerva"); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapInuse-min(before.HeapInuse, after.HeapInuse))
		}
		return most >> 20
	}
	frugal, usual := grown(true), grown(false)
	if frugal > 25 || usual <= frugal {
		t.Errorf("%d MiB are in use after a hash, and %d if nothing is done about it", frugal, usual)
	}
}
