// Package errs is the closed vocabulary of what can go wrong. A domain answers with one of its kinds and a stable code;
// problem turns it into an RFC 9457 answer, rpc carries it over the internal hop and back, unchanged.
// Imports the standard library only, because every domain package imports it.
package errs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is a failure with a meaning. Code is stable and for programs, Detail is a sentence for people; both may leave the
// process. Err is the cause: it is logged and inspected with errors.Is/As, and never shown to a caller.
type Error struct {
	Kind   Kind
	Code   string
	Detail string
	// Field is the JSON path ("tags[3]") or parameter name that is to blame, when one is.
	Field string
	// RetryAfter is how long a caller should wait before another try; 0 says nothing about it.
	RetryAfter time.Duration
	Err        error
}

// New returns an error of kind k without field, cause or delay.
func New(k Kind, code, detail string) *Error {
	return &Error{Kind: k, Code: code, Detail: detail}
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code)
	if e.Field != "" {
		fmt.Fprintf(&b, " (%s)", e.Field)
	}
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same kind and code, so that a package can export an error as a value and
// callers can compare with errors.Is although With… returned a copy.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// WithField returns a copy that blames field.
func (e *Error) WithField(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// WithCause returns a copy that wraps err.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// WithRetryAfter returns a copy that asks callers to wait d.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// KindOf is the kind of the outermost *Error in err's tree. An ended deadline without one is KindTimeout, a cancelled
// context KindCanceled, everything else KindInternal. nil has no kind: KindOf(nil) is KindInternal, too.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e) && e.Kind.known():
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.Is(err, context.Canceled):
		return KindCanceled
	}
	return KindInternal
}

// CodeOf is the stable code of err: the outermost *Error's, or the kind's own ("internal", "timeout", ...).
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Kind.known() && e.Code != "" {
		return e.Code
	}
	return KindOf(err).Code()
}

// As returns the outermost *Error of err, or one made from KindOf that wraps err and tells a caller nothing else.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Kind.known() {
		return e
	}
	k := KindOf(err)
	return &Error{Kind: k, Code: k.Code(), Err: err}
}
