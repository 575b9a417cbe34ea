package errs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"noteworks.dev/services/internal/errs"
)

func TestKindAndCodeOf(t *testing.T) {
	t.Parallel()
	inner := errs.NotFound("not-found", "There is no such note.")
	tests := []struct {
		name string
		err  error
		kind errs.Kind
		code string
	}{
		{"an error of ours", inner, errs.KindNotFound, "not-found"},
		{"wrapped", fmt.Errorf("note 1: %w", inner), errs.KindNotFound, "not-found"},
		{"the outermost wins", errs.Unavailable("db-away", "").WithCause(inner), errs.KindUnavailable, "db-away"},
		{"without a code it is the kind's", errs.New(errs.KindStale, "", ""), errs.KindStale, "stale"},
		{"a deadline", fmt.Errorf("query: %w", context.DeadlineExceeded), errs.KindTimeout, "timeout"},
		{"a caller that left", fmt.Errorf("query: %w", context.Canceled), errs.KindCanceled, "canceled"},
		{"a stranger", errors.New("boom"), errs.KindInternal, "internal"},
		{"a kind that does not exist", &errs.Error{Kind: 200, Code: "x"}, errs.KindInternal, "internal"},
		{"no kind at all", &errs.Error{Code: "x"}, errs.KindInternal, "internal"},
		{"joined", errors.Join(errors.New("boom"), inner), errs.KindNotFound, "not-found"},
		{"nil", nil, errs.KindInternal, "internal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := errs.KindOf(tt.err); got != tt.kind {
				t.Errorf("kind: got %v, want %v", got, tt.kind)
			}
			if got := errs.CodeOf(tt.err); got != tt.code {
				t.Errorf("code: got %q, want %q", got, tt.code)
			}
		})
	}
}

// The table of kinds is a contract: what a client sees must not move by accident.
func TestEveryKindHasItsStatusNameAndCode(t *testing.T) {
	t.Parallel()
	want := map[errs.Kind]int{
		errs.KindInvalid: 400, errs.KindUnauthenticated: 401, errs.KindForbidden: 403, errs.KindNotFound: 404,
		errs.KindMethodNotAllowed: 405, errs.KindConflict: 409, errs.KindStale: 412, errs.KindTooLarge: 413,
		errs.KindUnsupportedMedia: 415, errs.KindUnprocessable: 422, errs.KindPreconditionRequired: 428, errs.KindRateLimited: 429,
		errs.KindHeadersTooLarge: 431, errs.KindCanceled: 499, errs.KindInternal: 500, errs.KindUnavailable: 503, errs.KindTimeout: 504,
	}
	names := map[string]errs.Kind{}
	for k := errs.Kind(1); ; k++ {
		back, known := errs.ParseKind(k.String())
		if !known {
			break
		}
		if back != k || k.Status() != want[k] || k.Code() == "" {
			t.Errorf("%v: parsed as %v, status %d, code %q", k, back, k.Status(), k.Code())
		}
		names[k.String()] = k
	}
	if len(names) != len(want) {
		t.Errorf("there are %d kinds, the table knows %d", len(names), len(want))
	}
}

func TestUnknownKindNamesAreReported(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Teapot", "Kind(0)", "invalid"} {
		if k, known := errs.ParseKind(name); known || k != errs.KindInternal {
			t.Errorf("%q: got %v, %v", name, k, known)
		}
	}
}

func TestWithReturnsACopy(t *testing.T) {
	t.Parallel()
	cause := errors.New("boom")
	base := errs.Invalid("bad-tag", "A tag is too long: %d.", 65)
	changed := base.WithField("tags[3]").WithCause(cause).WithRetryAfter(time.Second)

	if base.Field != "" || base.Err != nil || base.RetryAfter != 0 {
		t.Errorf("the original changed: %+v", base)
	}
	if got, want := changed.Error(), "bad-tag (tags[3]): A tag is too long: 65.: boom"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(changed, base) || !errors.Is(changed, cause) {
		t.Error("a copy should still be the error it was, and its cause")
	}
	if errors.Is(changed, errs.NotFound("bad-tag", "")) || errors.Is(changed, errs.Invalid("other", "")) {
		t.Error("another kind or code is another error")
	}
}

func TestADetailWithAPercentSignIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	if got := errs.Invalid("x", "100% sure").Detail; got != "100% sure" {
		t.Errorf("got %q", got)
	}
}

func TestAsMakesAnErrorThatSaysNothing(t *testing.T) {
	t.Parallel()
	secret := errors.New("password=hunter2")
	e := errs.As(secret)
	if e.Kind != errs.KindInternal || e.Detail != "" || !errors.Is(e, secret) {
		t.Errorf("got %+v", e)
	}
}
