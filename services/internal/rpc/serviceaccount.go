package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
)

// ServiceAccounts is how to know callers by the tokens that Kubernetes projects into their pods.
type ServiceAccounts struct {
	// List is who may call: "note=<namespace>/<service account>,operator=…". A name may have several accounts.
	List string `env:"RPC_SERVICE_ACCOUNTS" should:"a list such as note=<namespace>/<service account>"`
	// Audience is what a token must have been made for: this service and no other.
	Audience string `env:"RPC_TOKEN_AUDIENCE"`
	// Issuer is who must have made it; empty for whom the API server's discovery document names.
	Issuer string `env:"RPC_TOKEN_ISSUER"`
	// Where the keys of tokens are published, and how to introduce oneself there.
	ClusterURL       string `env:"RPC_CLUSTER_URL" envDefault:"https://kubernetes.default.svc"`
	ClusterTokenFile string `env:"RPC_CLUSTER_TOKEN_FILE" envDefault:"/var/run/noteworks/cluster/token"`
	ClusterCAFile    string `env:"RPC_CLUSTER_CA_FILE" envDefault:"/var/run/noteworks/cluster/ca.crt"`
}

const (
	maxBound = 8 << 10 // a projected token has one to two kilobytes
	// trustFor is how long a verified token is not looked at again: an account whose key is withdrawn is out that soon after the key.
	trustFor = time.Minute
	// subjectPrefix comes before <namespace>:<name> in the subject of every service account.
	subjectPrefix = "system:serviceaccount:"
)

// accountCallers is a CallerVerifier for bound tokens of service accounts. It trusts the keys that the API server publishes and nothing that a token
// says about keys.
type accountCallers struct {
	callers map[string]Caller // by the token's subject
	keys    *auth.KeySet[accountKey]
	now     func() time.Time
	parser  *jwt.Parser
	seen    *auth.Cache[Caller]
}

func newAccountCallers(cfg ServiceAccounts, now func() time.Time) (*accountCallers, error) {
	callers, err := parseAccounts(cfg.List)
	if err != nil {
		return nil, err
	}
	return &accountCallers{
		callers: callers,
		keys:    auth.NewKeySet(newCluster(cfg).keys, now),
		now:     now,
		seen:    auth.NewCache[Caller](),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg()}), // all that Kubernetes signs with
			jwt.WithAudience(cfg.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(auth.Leeway),
			jwt.WithTimeFunc(now),
			jwt.WithStrictDecoding(),
		),
	}, nil
}

// Caller is the account that token was made for. It is errs.Unavailable while the keys cannot be had.
func (a *accountCallers) Caller(ctx context.Context, token string) (Caller, error) {
	if len(token) > maxBound {
		return Caller{}, unknownCaller(errors.New("token over 8 kB"))
	}
	if caller, ok := a.seen.Get(token, a.now()); ok {
		return caller, nil
	}
	var (
		claims jwt.RegisteredClaims
		issuer string
	)
	_, err := a.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		key, err := a.keyOf(ctx, t)
		issuer = key.issuer
		return key.public, err
	})
	switch {
	case errs.KindOf(err) == errs.KindUnavailable:
		return Caller{}, errs.Unavailable("callers-unverifiable", "Callers cannot be verified at the moment.").WithCause(err).WithRetryAfter(time.Second)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Caller{}, err
	case err != nil:
		return Caller{}, unknownCaller(err)
	case claims.Issuer != issuer:
		return Caller{}, unknownCaller(fmt.Errorf("the token's issuer is %q, not %q", claims.Issuer, issuer))
	case claims.NotBefore == nil || claims.IssuedAt == nil:
		return Caller{}, unknownCaller(errors.New("nbf and iat are required"))
	}
	caller, ok := a.callers[claims.Subject]
	if !ok {
		return Caller{}, unknownCaller(fmt.Errorf("%q is none of the accounts that may call", claims.Subject))
	}
	a.seen.Put(token, caller, claims.NotBefore.Time, earlier(claims.ExpiresAt.Time, a.now().Add(trustFor)))
	return caller, nil
}

// keyOf reads nothing of the token's header but kid and alg, and wants the algorithm that the key was published for.
func (a *accountCallers) keyOf(ctx context.Context, t *jwt.Token) (accountKey, error) {
	kid, _ := t.Header["kid"].(string)
	if !auth.PlainKeyID(kid) {
		return accountKey{}, auth.ErrUnknownKey
	}
	key, err := a.keys.Key(ctx, kid)
	if err == nil && key.algorithm != t.Method.Alg() {
		return accountKey{}, fmt.Errorf("the key is for %s", key.algorithm)
	}
	return key, err
}

func unknownCaller(cause error) *errs.Error {
	return errs.Unauthenticated(codeCallerUnknown, "The caller is not known here.").WithCause(cause)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// parseAccounts reads "note=<namespace>/<service account>,…" into callers by subject.
func parseAccounts(list string) (map[string]Caller, error) {
	callers := map[string]Caller{}
	for i, entry := range strings.Split(list, ",") {
		name, account, _ := strings.Cut(strings.TrimSpace(entry), "=")
		namespace, account, ok := strings.Cut(account, "/")
		if name == "" || !ok || !objectName(namespace) || !objectName(account) {
			return nil, fmt.Errorf("entry %d is not name=<namespace>/<service account>", i+1)
		}
		subject := subjectPrefix + namespace + ":" + account
		if owner, taken := callers[subject]; taken && owner.Name != name {
			return nil, fmt.Errorf("%s and %s are the same account", owner.Name, name)
		}
		callers[subject] = Caller{Name: name, Account: namespace + "/" + account}
	}
	return callers, nil
}

// objectName reports whether text can be the name of a Kubernetes object: a DNS name, and without the colon that separates names in a subject.
func objectName(text string) bool {
	const most = 253
	if text == "" || len(text) > most || strings.Trim(text, "-.") != text {
		return false
	}
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != ""
}
