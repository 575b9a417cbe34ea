package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
)

// minToken is the shortest token worth comparing; ours are 32 random bytes.
const minToken = 16

// Caller is who calls.
type Caller struct {
	// Name is what it is known as here, and what Server.Allow speaks of: a service, or an office such as "admin".
	Name string
	// Account is which of those that have the name it is, as <namespace>/<service account>; empty where tokens were handed out.
	Account string
}

// CallerVerifier knows who presents token, or answers errs.Unauthenticated.
type CallerVerifier interface {
	Caller(ctx context.Context, token string) (Caller, error)
}

// StaticCallers knows callers by tokens that were handed out beforehand. It keeps digests, compares all of them in constant
// time, and a name may have several tokens, so that one can be replaced while both are in use.
type StaticCallers struct {
	known []staticCaller
}

type staticCaller struct {
	name   string
	digest [sha256.Size]byte
}

// NewStaticCallers reads "gateway=<token>,note=<token>". The error says what is wrong and never shows a token.
func NewStaticCallers(list config.Secret) (*StaticCallers, error) {
	s := &StaticCallers{}
	owners := map[[sha256.Size]byte]string{}
	for entry := range strings.SplitSeq(list.Reveal(), ",") {
		name, token, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("callers: each should be name=token")
		}
		if len(token) < minToken {
			return nil, fmt.Errorf("callers: the token of %s should have at least %d characters", name, minToken)
		}
		digest := sha256.Sum256([]byte(token))
		if owner, taken := owners[digest]; taken {
			return nil, fmt.Errorf("callers: %s and %s have the same token", owner, name)
		}
		owners[digest] = name
		s.known = append(s.known, staticCaller{name, digest})
	}
	return s, nil
}

// Caller is whom token was handed out to.
func (s *StaticCallers) Caller(_ context.Context, token string) (Caller, error) {
	digest := sha256.Sum256([]byte(token))
	var caller Caller
	for _, c := range s.known {
		if subtle.ConstantTimeCompare(c.digest[:], digest[:]) == 1 {
			caller.Name = c.name
		}
	}
	if caller.Name == "" {
		return Caller{}, errs.Unauthenticated(codeCallerUnknown, "The caller is not known here.")
	}
	return caller, nil
}

type callerKey struct{}

// CallerFrom is on whose call ctx runs, nobody outside of one.
func CallerFrom(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)
	return caller
}
