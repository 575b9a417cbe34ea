package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const maxKeySet = 64 << 10

// JWKS is the KeySource of services that do not sign: the key set that the user service publishes.
type JWKS = KeySet[ed25519.PublicKey]

// NewJWKS reads the key set at url with client.
func NewJWKS(url string, client *http.Client, now func() time.Time) *JWKS {
	return NewKeySet(func(ctx context.Context) (map[string]ed25519.PublicKey, error) {
		body, err := ReadKeySet(ctx, client, url, nil)
		if err != nil {
			return nil, err
		}
		return parseKeySet(body)
	}, now)
}

// ReadKeySet is what is published at url, up to 64 kB of it. header, which may be nil, goes with the request.
func ReadKeySet(ctx context.Context, client *http.Client, url string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("key set request: %w", err)
	}
	maps.Copy(req.Header, header)
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up; nothing to learn
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read key set: the issuer answers %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet))
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	return body, nil
}

type keySet struct {
	Keys []jwk `json:"keys"`
}

// jwk is an Ed25519 public key as RFC 8037 writes it.
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	ID        string `json:"kid"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	X         string `json:"x"`
}

// KeySetDocument is what the issuer publishes, sorted by key id.
func KeySetDocument(keys map[string]ed25519.PublicKey) ([]byte, error) {
	set := keySet{Keys: make([]jwk, 0, len(keys))}
	for kid, key := range keys {
		set.Keys = append(set.Keys, jwk{"OKP", "Ed25519", kid, "sig", "EdDSA", base64.RawURLEncoding.EncodeToString(key)})
	}
	slices.SortFunc(set.Keys, func(a, b jwk) int { return strings.Compare(a.ID, b.ID) })
	return json.Marshal(set)
}

// parseKeySet takes the Ed25519 keys and leaves others be. A set without any is a failure, not a withdrawal of all.
func parseKeySet(body []byte) (map[string]ed25519.PublicKey, error) {
	var set keySet
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	keys := make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize || k.Type != "OKP" || k.Curve != "Ed25519" || !PlainKeyID(k.ID) {
			continue
		}
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		keys[k.ID] = x
	}
	if len(keys) == 0 {
		return nil, errors.New("key set: no Ed25519 key in it")
	}
	return keys, nil
}
