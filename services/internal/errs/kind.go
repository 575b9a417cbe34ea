package errs

import "fmt"

// Kind says what sort of failure an error is. The set is closed: callers branch on it, so a new one is a change of
// contract and needs a line in every table of this file.
type Kind uint8

// The zero Kind is none of these and counts as KindInternal.
const (
	KindInvalid Kind = iota + 1
	KindUnauthenticated
	KindForbidden
	KindNotFound
	KindMethodNotAllowed
	KindConflict
	KindStale
	KindTooLarge
	KindUnsupportedMedia
	KindUnprocessable
	KindPreconditionRequired
	KindRateLimited
	KindHeadersTooLarge
	KindCanceled
	KindInternal
	KindUnavailable
	KindTimeout

	kinds
)

type kindInfo struct {
	name   string
	status int
	code   string
}

func (k Kind) info() kindInfo {
	switch k {
	case KindInvalid:
		return kindInfo{"Invalid", 400, "invalid"}
	case KindUnauthenticated:
		return kindInfo{"Unauthenticated", 401, "unauthenticated"}
	case KindForbidden:
		return kindInfo{"Forbidden", 403, "forbidden"}
	case KindNotFound:
		return kindInfo{"NotFound", 404, "not-found"}
	case KindMethodNotAllowed:
		return kindInfo{"MethodNotAllowed", 405, "method-not-allowed"}
	case KindConflict:
		return kindInfo{"Conflict", 409, "conflict"}
	case KindStale:
		return kindInfo{"Stale", 412, "stale"}
	case KindTooLarge:
		return kindInfo{"TooLarge", 413, "too-large"}
	case KindUnsupportedMedia:
		return kindInfo{"UnsupportedMedia", 415, "unsupported-media-type"}
	case KindUnprocessable:
		return kindInfo{"Unprocessable", 422, "unprocessable"}
	case KindPreconditionRequired:
		return kindInfo{"PreconditionRequired", 428, "precondition-required"}
	case KindRateLimited:
		return kindInfo{"RateLimited", 429, "rate-limited"}
	case KindHeadersTooLarge:
		return kindInfo{"HeadersTooLarge", 431, "headers-too-large"}
	case KindCanceled:
		return kindInfo{"Canceled", 499, "canceled"}
	case KindUnavailable:
		return kindInfo{"Unavailable", 503, "unavailable"}
	case KindTimeout:
		return kindInfo{"Timeout", 504, "timeout"}
	case KindInternal:
		return kindInfo{"Internal", 500, "internal"}
	}
	return kindInfo{fmt.Sprintf("Kind(%d)", uint8(k)), 500, "internal"}
}

func (k Kind) known() bool { return k > 0 && k < kinds }

// String is the kind's name, which is also what crosses the RPC hop.
func (k Kind) String() string { return k.info().name }

// Status is the HTTP status of the kind; 499 for a caller that left is never seen by it.
func (k Kind) Status() int { return k.info().status }

// Code is the code of an error of this kind that has no better one.
func (k Kind) Code() string { return k.info().code }

// ParseKind is the inverse of String. It reports false for a name it does not know, as a newer peer may send one.
func ParseKind(name string) (Kind, bool) {
	for k := Kind(1); k < kinds; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return KindInternal, false
}

func newf(k Kind, code, format string, a []any) *Error {
	if len(a) > 0 {
		format = fmt.Sprintf(format, a...)
	}
	return New(k, code, format)
}

// Invalid (400): the request is malformed or a value breaks a rule.
func Invalid(code, format string, a ...any) *Error { return newf(KindInvalid, code, format, a) }

// Unauthenticated (401): nobody, or nobody any more, is acting.
func Unauthenticated(code, format string, a ...any) *Error {
	return newf(KindUnauthenticated, code, format, a)
}

// Forbidden (403): the actor may see the thing, and may not do this to it. What it may not see is NotFound.
func Forbidden(code, format string, a ...any) *Error { return newf(KindForbidden, code, format, a) }

// NotFound (404): it does not exist, or the actor may not know that it does.
func NotFound(code, format string, a ...any) *Error { return newf(KindNotFound, code, format, a) }

// Conflict (409): the state of the thing does not allow it.
func Conflict(code, format string, a ...any) *Error { return newf(KindConflict, code, format, a) }

// Stale (412): the caller's version is not the current one.
func Stale(code, format string, a ...any) *Error { return newf(KindStale, code, format, a) }

// TooLarge (413).
func TooLarge(code, format string, a ...any) *Error { return newf(KindTooLarge, code, format, a) }

// UnsupportedMedia (415).
func UnsupportedMedia(code, format string, a ...any) *Error {
	return newf(KindUnsupportedMedia, code, format, a)
}

// Unprocessable (422): well-formed, but it makes no sense here (an idempotency key reused with another body).
func Unprocessable(code, format string, a ...any) *Error {
	return newf(KindUnprocessable, code, format, a)
}

// PreconditionRequired (428).
func PreconditionRequired(code, format string, a ...any) *Error {
	return newf(KindPreconditionRequired, code, format, a)
}

// RateLimited (429).
func RateLimited(code, format string, a ...any) *Error { return newf(KindRateLimited, code, format, a) }

// Internal (500): our fault. The detail is shown, so it must not say why; the cause is for the log.
func Internal(code, format string, a ...any) *Error { return newf(KindInternal, code, format, a) }

// Unavailable (503): something we need is away; the same request may work later.
func Unavailable(code, format string, a ...any) *Error { return newf(KindUnavailable, code, format, a) }

// Timeout (504): the deadline of the request ended first.
func Timeout(code, format string, a ...any) *Error { return newf(KindTimeout, code, format, a) }
