package registry

import (
	"errors"
	"fmt"
	"net"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// Kind is what a failed call means to the caller.
type Kind int

// The kinds of failures.
const (
	// Broken is a failure inside the service, or an answer that is not the service's.
	Broken Kind = iota
	// Unavailable: nobody answered in time.
	Unavailable
	// Absent: the service's name leads nowhere, as when it is not installed.
	Absent
	// NotPermitted: the service does not know the operator by its token.
	NotPermitted
	// Invalid: a field is refused; Field says which.
	Invalid
	// Conflict: what is asked for cannot be as things stand; Code says why.
	Conflict
	// NotFound: there is no such workspace.
	NotFound
)

// The codes of conflicts.
const (
	CodeSlugTaken = "slug-taken"
	CodeHostTaken = "host-taken"
)

// errorDomain marks an error detail as one of our services'.
const errorDomain = "noteworks.dev"

// Failure is a call that did not succeed. Detail is a sentence for people.
type Failure struct {
	Kind   Kind
	Code   string
	Field  string
	Detail string
	err    error
}

func (f *Failure) Error() string {
	if f.Code != "" {
		return fmt.Sprintf("%s: %v", f.Code, f.err)
	}
	return f.err.Error()
}

func (f *Failure) Unwrap() error { return f.err }

func failureOf(err error) *Failure {
	f := &Failure{Kind: kindOf(err), Detail: err.Error(), err: err}
	var c *connect.Error
	if !errors.As(err, &c) {
		return f
	}
	f.Detail = c.Message()
	for _, d := range c.Details() {
		value, bad := d.Value()
		info, ok := value.(*errdetails.ErrorInfo)
		if bad == nil && ok && info.GetDomain() == errorDomain {
			f.Code, f.Field = info.GetReason(), info.GetMetadata()["field"]
		}
	}
	return f
}

func kindOf(err error) Kind {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return Absent
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeResourceExhausted:
		return Unavailable
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return NotPermitted
	case connect.CodeInvalidArgument:
		return Invalid
	case connect.CodeFailedPrecondition, connect.CodeAlreadyExists, connect.CodeAborted:
		return Conflict
	case connect.CodeNotFound:
		return NotFound
	}
	return Broken
}
