package rpc

import (
	"errors"
	"time"

	"noteworks.dev/services/internal/config"
)

const (
	shouldTokens   = "a list such as note=<token>, unless RPC_SERVICE_ACCOUNTS is given"
	shouldAccounts = "a list such as note=<namespace>/<service account>"
)

// Callers is how an internal port knows who calls: by tokens that were handed out beforehand, or by Kubernetes service accounts.
type Callers struct {
	Tokens   config.Secret `env:"RPC_CALLERS" should:"a list such as note=<token>"`
	Accounts ServiceAccounts
}

// Validate reports what would leave everybody outside, or anybody in. config.Load asks it.
func (c *Callers) Validate() error {
	switch {
	case c.Tokens != "" && c.Accounts.List != "":
		return &config.SettingError{Name: "RPC_CALLERS", Problem: "and RPC_SERVICE_ACCOUNTS are both given", Should: "given without the other"}
	case c.Tokens == "" && c.Accounts.List == "":
		return &config.SettingError{Name: "RPC_CALLERS", Problem: "is not set", Should: shouldTokens}
	case c.Tokens != "":
		if _, err := NewStaticCallers(c.Tokens); err != nil {
			return &config.SettingError{Name: "RPC_CALLERS", Problem: "cannot be used (" + err.Error() + ")", Should: shouldTokens}
		}
		return nil
	}
	return c.Accounts.problems()
}

// NewCallers is a verifier of what Validate accepts.
func NewCallers(c Callers, now func() time.Time) (CallerVerifier, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Tokens != "" {
		return NewStaticCallers(c.Tokens)
	}
	return newAccountCallers(c.Accounts, now)
}

func (s *ServiceAccounts) problems() error {
	var all []error
	wrong := func(is bool, name, problem, should string) {
		if is {
			all = append(all, &config.SettingError{Name: name, Problem: problem, Should: should})
		}
	}
	_, err := parseAccounts(s.List)
	if err != nil {
		wrong(true, "RPC_SERVICE_ACCOUNTS", "cannot be used ("+err.Error()+")", shouldAccounts)
	}
	wrong(s.Audience == "", "RPC_TOKEN_AUDIENCE", "is not set", "what callers' tokens are made for, such as noteworks-user")
	wrong(!isHTTPS(s.ClusterURL), "RPC_CLUSTER_URL", "is not an https URL", "that of the Kubernetes API server, such as https://kubernetes.default.svc")
	wrong(s.ClusterTokenFile == "", "RPC_CLUSTER_TOKEN_FILE", "is not set", "the path of a projected token for the API server")
	wrong(s.ClusterCAFile == "", "RPC_CLUSTER_CA_FILE", "is not set", "the path of the API server's certificate authority")
	return errors.Join(all...)
}
