package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"noteworks.dev/services/internal/errs"
)

// domain marks an error detail as ours.
const domain = "noteworks.dev"

const (
	metaKind       = "kind"
	metaField      = "field"
	metaRetryAfter = "retryAfterMs"
)

// Codes of refusals of the calling service, not of a person.
const (
	codeCallerUnknown    = "caller-unknown"
	codeCallerNotAllowed = "caller-not-allowed"
)

// toConnect is err as it crosses the hop: kind, code, detail, field and delay, and never a cause. Of an internal error only that it was one.
func toConnect(err error) *connect.Error {
	e := errs.As(err)
	detail := e.Detail
	if e.Kind == errs.KindInternal {
		detail = "internal error"
	}
	out := connect.NewError(codeOf(e.Kind), errors.New(detail))
	info := &errdetails.ErrorInfo{Reason: e.Code, Domain: domain, Metadata: map[string]string{metaKind: e.Kind.String()}}
	if e.Field != "" {
		info.Metadata[metaField] = e.Field
	}
	if e.RetryAfter > 0 {
		info.Metadata[metaRetryAfter] = strconv.FormatInt(e.RetryAfter.Milliseconds(), 10)
	}
	if d, failed := connect.NewErrorDetail(info); failed == nil {
		out.AddDetail(d) // without it the code still says the kind, roughly
	}
	return out
}

// fromConnect is a call's error in our vocabulary, wrapping the original. ctx is the caller's own; hurried says that its deadline was the one that
// counted. Then time that ran out is the caller's, otherwise the other side was away for as long as we wait.
func fromConnect(ctx context.Context, hurried bool, err error) error {
	var local *errs.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &local): // of our own transport: nothing was answered
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return errs.New(errs.KindCanceled, errs.KindCanceled.Code(), "").WithCause(err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return tooLate().WithCause(err)
	}
	var c *connect.Error
	if !errors.As(err, &c) {
		return errs.Internal("internal", "").WithCause(err)
	}
	e := told(c)
	if e == nil {
		e = guessed(c)
	}
	ranOut := e.Kind == errs.KindTimeout && e.Code == e.Kind.Code() // hurried, and the other side's clock was a moment ahead of ours
	if e.Kind == errs.KindCanceled || ranOut && !hurried {
		e = away() // the caller is still here and has time
	}
	return e.WithCause(err)
}

func tooLate() *errs.Error {
	return errs.Timeout("timeout", "It took too long and was given up.")
}

// told is what the other side said in our own words, if it did.
func told(c *connect.Error) *errs.Error {
	for _, d := range c.Details() {
		value, err := d.Value()
		info, ok := value.(*errdetails.ErrorInfo)
		if err != nil || !ok || info.GetDomain() != domain {
			continue
		}
		if r := info.GetReason(); r == codeCallerUnknown || r == codeCallerNotAllowed {
			return errs.Internal("internal", "") // our own service is configured wrongly; the person in front is not to blame
		}
		kind, known := errs.ParseKind(info.GetMetadata()[metaKind])
		if !known {
			continue // a newer peer's; its code is the next best
		}
		e := errs.New(kind, info.GetReason(), c.Message())
		if ms, err := strconv.ParseInt(info.GetMetadata()[metaRetryAfter], 10, 64); err == nil && ms > 0 {
			e.RetryAfter = time.Duration(min(ms, time.Hour.Milliseconds())) * time.Millisecond
		}
		e.Field = info.GetMetadata()[metaField]
		return e
	}
	return nil
}

// guessed is for answers that are not one of ours: a proxy's, a dropped connection, our own per-call timeout.
func guessed(c *connect.Error) *errs.Error {
	switch c.Code() {
	case connect.CodeUnavailable, connect.CodeCanceled:
		return away()
	case connect.CodeDeadlineExceeded:
		return tooLate()
	case connect.CodeInvalidArgument, connect.CodeOutOfRange:
		return errs.Invalid("invalid", "%s", c.Message())
	case connect.CodeNotFound:
		return errs.NotFound("not-found", "%s", c.Message())
	case connect.CodeAlreadyExists, connect.CodeAborted, connect.CodeFailedPrecondition:
		return errs.Conflict("conflict", "%s", c.Message())
	case connect.CodeResourceExhausted:
		return errs.TooLarge("message-too-large", "The message is too large.") // connect's own limit; ours say what they are
	}
	return errs.Internal("internal", "")
}

func away() *errs.Error {
	return errs.Unavailable("upstream-unavailable", "Part of the service is away at the moment. Please try again.").WithRetryAfter(time.Second)
}

func codeOf(k errs.Kind) connect.Code {
	switch k {
	case errs.KindInvalid, errs.KindTooLarge, errs.KindUnsupportedMedia, errs.KindHeadersTooLarge:
		return connect.CodeInvalidArgument
	case errs.KindUnauthenticated:
		return connect.CodeUnauthenticated
	case errs.KindForbidden:
		return connect.CodePermissionDenied
	case errs.KindNotFound:
		return connect.CodeNotFound
	case errs.KindMethodNotAllowed:
		return connect.CodeUnimplemented
	case errs.KindConflict, errs.KindUnprocessable, errs.KindPreconditionRequired:
		return connect.CodeFailedPrecondition
	case errs.KindStale:
		return connect.CodeAborted
	case errs.KindRateLimited:
		return connect.CodeResourceExhausted
	case errs.KindCanceled:
		return connect.CodeCanceled
	case errs.KindUnavailable:
		return connect.CodeUnavailable
	case errs.KindTimeout:
		return connect.CodeDeadlineExceeded
	case errs.KindInternal:
	}
	return connect.CodeInternal
}
