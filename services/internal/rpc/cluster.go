package rpc

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/config"
)

// cluster is the Kubernetes API server as a publisher of keys. Its own token and certificate authority are read from their files each time: both are
// replaced while a pod runs, and keys are asked for every few minutes.
type cluster struct {
	cfg ServiceAccounts

	mu     sync.Mutex
	ca     []byte
	client *http.Client
}

func newCluster(cfg ServiceAccounts) *cluster {
	cfg.ClusterURL = strings.TrimSuffix(cfg.ClusterURL, "/")
	return &cluster{cfg: cfg}
}

// accountKey is a published key, what it is for, and whose tokens it signs.
type accountKey struct {
	public            crypto.PublicKey
	algorithm, issuer string
}

// keys is what the API server publishes now.
func (c *cluster) keys(ctx context.Context) (map[string]accountKey, error) {
	client, header, err := c.introduce()
	if err != nil {
		return nil, err
	}
	issuer := c.cfg.Issuer
	if issuer == "" {
		body, err := auth.ReadKeySet(ctx, client, c.cfg.ClusterURL+"/.well-known/openid-configuration", header)
		if err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		var discovered struct {
			Issuer string `json:"issuer"`
		}
		if err := json.Unmarshal(body, &discovered); err != nil || discovered.Issuer == "" {
			return nil, errors.Join(errors.New("discovery: no issuer is named"), err)
		}
		issuer = discovered.Issuer
	}
	body, err := auth.ReadKeySet(ctx, client, c.cfg.ClusterURL+"/openid/v1/jwks", header)
	if err != nil {
		return nil, err
	}
	return parseAccountKeys(body, issuer)
}

// introduce is a client that trusts the cluster's authority, and the header that says who asks.
func (c *cluster) introduce() (*http.Client, http.Header, error) {
	token, err := config.ReadFile(c.cfg.ClusterTokenFile)
	if err != nil {
		return nil, nil, fmt.Errorf("token for the API server: %w", err)
	}
	ca, err := os.ReadFile(c.cfg.ClusterCAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate authority of the API server: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil || !bytes.Equal(ca, c.ca) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, nil, fmt.Errorf("certificate authority of the API server: no certificate in %s", c.cfg.ClusterCAFile)
		}
		c.ca, c.client = ca, clusterClient(pool)
	}
	return c.client, http.Header{"Authorization": {"Bearer " + token.Reveal()}}, nil
}

// clusterClient keeps no connection, follows nobody elsewhere with the token, and uses no proxy.
func clusterClient(authorities *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:       (&net.Dialer{Timeout: time.Second}).DialContext,
			TLSClientConfig:   &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// publishedKey is a JWK as RFC 7518 writes RSA and elliptic curves.
type publishedKey struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	N         string `json:"n"`
	E         string `json:"e"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// parseAccountKeys takes the keys that accounts' tokens can be signed with and leaves others be. A set without any is a failure.
func parseAccountKeys(body []byte, issuer string) (map[string]accountKey, error) {
	var set struct {
		Keys []publishedKey `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := make(map[string]accountKey, len(set.Keys))
	for _, k := range set.Keys {
		public := k.public()
		if public == nil || !auth.PlainKeyID(k.ID) || k.Use != "" && k.Use != "sig" {
			continue
		}
		keys[k.ID] = accountKey{public: public, algorithm: k.Algorithm, issuer: issuer}
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: no RS256 or ES256 key in it")
	}
	return keys, nil
}

func (k publishedKey) public() crypto.PublicKey {
	switch {
	case k.Type == "RSA" && k.Algorithm == "RS256":
		if key := k.rsa(); key != nil {
			return key
		}
	case k.Type == "EC" && k.Algorithm == "ES256" && k.Curve == "P-256":
		if key := k.ec(); key != nil {
			return key
		}
	}
	return nil
}

func (k publishedKey) rsa() *rsa.PublicKey {
	const shortest, largestExponent = 2048, 4
	n, errN := base64.RawURLEncoding.DecodeString(k.N)
	e, errE := base64.RawURLEncoding.DecodeString(k.E)
	if errN != nil || errE != nil || len(e) == 0 || len(e) > largestExponent {
		return nil
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if key.N.BitLen() < shortest || key.E < 3 || key.E%2 == 0 {
		return nil
	}
	return key
}

func (k publishedKey) ec() *ecdsa.PublicKey {
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if errX != nil || errY != nil {
		return nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil
	}
	return key
}
