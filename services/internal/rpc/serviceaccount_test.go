package rpc_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/rpc"
)

const (
	audience  = "noteworks-user"
	noteSub   = "system:serviceaccount:team:noteworks-note"
	issuerURL = "https://kubernetes.default.svc.cluster.local"
)

// apiServer publishes keys like the Kubernetes API server, over TLS and to those who present its token.
type apiServer struct {
	*httptest.Server
	dir string

	mu     sync.Mutex
	token  string
	issuer string
	keys   map[string]crypto.Signer
	reads  int
	broken bool
	clock  time.Time
}

func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	a := &apiServer{dir: t.TempDir(), token: "pod-1", issuer: issuerURL, keys: map[string]crypto.Signer{}, clock: time.Now()}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	a.write(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})))
	a.write(t, "token", "pod-1\n")
	a.keys["first"] = newRSA(t)
	return a
}

func (a *apiServer) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *apiServer) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *apiServer) now() time.Time { a.mu.Lock(); defer a.mu.Unlock(); return a.clock }

func (a *apiServer) asked() int { a.mu.Lock(); defer a.mu.Unlock(); return a.reads }

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.broken:
		w.WriteHeader(http.StatusInternalServerError)
	case r.Header.Get("Authorization") != "Bearer "+a.token:
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": a.issuer, "jwks_uri": "https://192.0.2.1/never/asked"})
	case r.URL.Path == "/openid/v1/jwks":
		a.reads++
		set := []map[string]string{{"kty": "oct", "kid": "shared", "alg": "HS256", "k": "c2VjcmV0"}}
		for kid, key := range a.keys {
			set = append(set, jwkOf(kid, key.Public()))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func jwkOf(kid string, key crypto.PublicKey) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	switch key := key.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, _ := key.Bytes() // 4, x, y
		return map[string]string{"kty": "EC", "use": "sig", "alg": "ES256", "kid": kid, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	}
	return nil
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// callers is a service that note and operator may call.
func (a *apiServer) callers(t *testing.T, changes ...func(*rpc.ServiceAccounts)) rpc.CallerVerifier {
	t.Helper()
	cfg := rpc.ServiceAccounts{
		List: "note=team/noteworks-note, operator=platform/noteworks-operator", Audience: audience, ClusterURL: a.URL,
		ClusterTokenFile: filepath.Join(a.dir, "token"), ClusterCAFile: filepath.Join(a.dir, "ca.crt"),
	}
	for _, change := range changes {
		change(&cfg)
	}
	v, err := rpc.NewCallers(rpc.Callers{Accounts: cfg}, a.now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// claims are what kubelet asks for.
func (a *apiServer) claims(changes map[string]any) jwt.MapClaims {
	now := a.now()
	c := jwt.MapClaims{
		"iss": issuerURL, "aud": []string{audience}, "sub": noteSub, "jti": "1", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"kubernetes.io": map[string]any{"namespace": "team", "serviceaccount": map[string]string{"name": "noteworks-note", "uid": "2"}},
	}
	for name, value := range changes {
		if value == nil {
			delete(c, name)
			continue
		}
		c[name] = value
	}
	return c
}

func signed(t *testing.T, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (a *apiServer) token1(t *testing.T, changes map[string]any) string {
	t.Helper()
	return signed(t, jwt.SigningMethodRS256, "first", a.keys["first"], a.claims(changes))
}

func requireCaller(t *testing.T, v rpc.CallerVerifier, token, want string) {
	t.Helper()
	for range 2 { // the second answer comes from memory
		if got, err := v.Caller(t.Context(), token); got.Name != want || !strings.Contains(got.Account, "/") || err != nil {
			t.Fatalf("%+v, %v; want %q", got, err, want)
		}
	}
}

func requireKind(t *testing.T, v rpc.CallerVerifier, token string, want errs.Kind) {
	t.Helper()
	for range 2 {
		if got, err := v.Caller(t.Context(), token); got != (rpc.Caller{}) || errs.KindOf(err) != want {
			t.Fatalf("%+v, %v; want %v", got, err, want)
		}
	}
}

func TestAServiceAccountIsKnownByItsProjectedToken(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	a.keys["second"] = newEC(t)
	v := a.callers(t)
	requireCaller(t, v, a.token1(t, nil), "note")
	requireCaller(t, v, signed(t, jwt.SigningMethodES256, "second", a.keys["second"],
		a.claims(map[string]any{"sub": "system:serviceaccount:platform:noteworks-operator", "aud": audience})), "operator")
	if a.asked() != 1 {
		t.Errorf("the keys were read %d times", a.asked())
	}
	named := a.callers(t, func(c *rpc.ServiceAccounts) { c.Issuer = "https://elsewhere.example" })
	requireKind(t, named, a.token1(t, nil), errs.KindUnauthenticated)
	requireCaller(t, named, a.token1(t, map[string]any{"iss": "https://elsewhere.example"}), "note")
}

func TestEverybodyElseIsRefused(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	foreign := newRSA(t)
	a.keys["curve"] = newEC(t)
	v := a.callers(t)
	public, err := x509.MarshalPKIXPublicKey(a.keys["first"].Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	now := a.now()
	of := func(changes map[string]any) string { return a.token1(t, changes) }
	good := of(nil)
	cut := func(n int) string { return good[:len(good)-n] }
	for name, token := range map[string]string{
		"nothing":                 "",
		"no token":                "not a token",
		"another audience":        of(map[string]any{"aud": "noteworks-note"}),
		"the API server's":        of(map[string]any{"aud": issuerURL}),
		"no audience":             of(map[string]any{"aud": nil}),
		"another account":         of(map[string]any{"sub": "system:serviceaccount:team:default"}),
		"another namespace":       of(map[string]any{"sub": "system:serviceaccount:other:noteworks-note"}),
		"a person of that name":   of(map[string]any{"sub": "team:noteworks-note"}),
		"names that run together": of(map[string]any{"sub": "system:serviceaccount:team:noteworks-note:x"}),
		"no subject":              of(map[string]any{"sub": nil}),
		"another issuer":          of(map[string]any{"iss": "https://evil.example"}),
		"no issuer":               of(map[string]any{"iss": nil}),
		"expired":                 of(map[string]any{"exp": now.Add(-time.Minute).Unix()}),
		"without an end":          of(map[string]any{"exp": nil}),
		"not yet valid":           of(map[string]any{"nbf": now.Add(time.Minute).Unix()}),
		"without a beginning":     of(map[string]any{"nbf": nil}),
		"made in the future":      of(map[string]any{"iat": now.Add(time.Minute).Unix()}),
		"a foreign key":           signed(t, jwt.SigningMethodRS256, "first", foreign, a.claims(nil)),
		"an unknown key":          signed(t, jwt.SigningMethodRS256, "third", foreign, a.claims(nil)),
		"no key id":               signed(t, jwt.SigningMethodRS256, "", a.keys["first"], a.claims(nil)),
		"a path as key id":        signed(t, jwt.SigningMethodRS256, "../first", a.keys["first"], a.claims(nil)),
		"a key of its own":        signed(t, jwt.SigningMethodRS256, "own", foreign, a.claims(nil), "jku", a.URL+"/own", "x5u", a.URL+"/own"),
		"alg none":                signed(t, jwt.SigningMethodNone, "first", jwt.UnsafeAllowNoneSignatureType, a.claims(nil)),
		"HS256 with the key":      signed(t, jwt.SigningMethodHS256, "first", publicPEM, a.claims(nil)),
		"HS256 with a secret":     signed(t, jwt.SigningMethodHS256, "shared", []byte("secret"), a.claims(nil)),
		"another algorithm":       signed(t, jwt.SigningMethodRS384, "first", a.keys["first"], a.claims(nil)),
		"PSS":                     signed(t, jwt.SigningMethodPS256, "first", a.keys["first"], a.claims(nil)),
		"a key for another one":   signed(t, jwt.SigningMethodRS256, "curve", a.keys["first"], a.claims(nil)),
		"cut off":                 cut(8),
		"without a signature":     good[:strings.LastIndex(good, ".")+1],
		"huge":                    strings.Repeat("a", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireKind(t, v, token, errs.KindUnauthenticated)
		})
	}
}

func TestATokenIsForgottenWhenItExpires(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	v := a.callers(t)
	token := a.token1(t, map[string]any{"exp": a.now().Add(30 * time.Second).Unix()})
	requireCaller(t, v, token, "note")
	a.set(func() { a.clock = a.clock.Add(40 * time.Second) })
	requireKind(t, v, token, errs.KindUnauthenticated)
}

func TestKeysRotateUnderTheServicesFeet(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	v := a.callers(t)
	old := a.token1(t, nil)
	requireCaller(t, v, old, "note")
	a.set(func() { a.keys["next"] = newRSA(t) })
	requireCaller(t, v, signed(t, jwt.SigningMethodRS256, "next", a.keys["next"], a.claims(nil)), "note")
	requireCaller(t, v, old, "note")

	// A key that is withdrawn ends with the next reading of the set, and what is remembered of its tokens a minute later.
	before := a.asked()
	a.set(func() { delete(a.keys, "first"); a.clock = a.clock.Add(6 * time.Minute) })
	requireCaller(t, v, old, "note") // has the set read again, beside
	for deadline := time.Now().Add(10 * time.Second); a.asked() == before; {
		if time.Now().After(deadline) {
			t.Fatal("the keys are not read again")
		}
		_, _ = v.Caller(t.Context(), old)
	}
	a.set(func() { a.clock = a.clock.Add(90 * time.Second) })
	for deadline := time.Now().Add(10 * time.Second); ; a.set(func() { a.clock = a.clock.Add(time.Second) }) {
		if _, err := v.Caller(t.Context(), old); errs.KindOf(err) == errs.KindUnauthenticated {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the withdrawn key is still good")
		}
	}
}

func TestAFloodOfUnknownKeysDoesNotReachTheAPIServer(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	v := a.callers(t)
	foreign := newRSA(t)
	for i := range 100 {
		_, _ = v.Caller(t.Context(), signed(t, jwt.SigningMethodRS256, "k"+string(rune('a'+i%26))+string(rune('a'+i/26)), foreign, a.claims(nil)))
	}
	if a.asked() > 5 {
		t.Errorf("the keys were read %d times", a.asked())
	}
	requireCaller(t, v, a.token1(t, nil), "note")
}

func TestWhileTheAPIServerIsAwayKnownKeysWorkAndTheRestIsUnavailable(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	v := a.callers(t)
	a.set(func() { a.broken = true })
	requireKind(t, v, a.token1(t, nil), errs.KindUnavailable)
	a.set(func() { a.broken = false; a.clock = a.clock.Add(2 * time.Second) })
	requireCaller(t, v, a.token1(t, nil), "note")
	a.Close()
	a.set(func() { a.clock = a.clock.Add(6 * time.Minute) })
	requireCaller(t, v, a.token1(t, nil), "note")
	requireKind(t, v, signed(t, jwt.SigningMethodRS256, "next", newRSA(t), a.claims(nil)), errs.KindUnavailable)
	requireKind(t, v, signed(t, jwt.SigningMethodNone, "first", jwt.UnsafeAllowNoneSignatureType, a.claims(nil)), errs.KindUnauthenticated)
}

func TestTheServicesOwnTokenAndTheClustersAuthorityAreReadAgain(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	a.write(t, "ca.crt", "not a certificate")
	v := a.callers(t)
	tick := func() { a.set(func() { a.clock = a.clock.Add(2 * time.Second) }) }
	requireKind(t, v, a.token1(t, nil), errs.KindUnavailable)
	if err := os.Remove(filepath.Join(a.dir, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	tick()
	requireKind(t, v, a.token1(t, nil), errs.KindUnavailable)
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	a.write(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})))
	a.set(func() { a.token = "pod-2" })
	tick()
	requireKind(t, v, a.token1(t, nil), errs.KindUnavailable)
	a.write(t, "token", "pod-2")
	tick()
	requireCaller(t, v, a.token1(t, nil), "note")
}

func TestCallersAreConfiguredInOneOfTwoWays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  map[string]string
		says string
	}{
		"none":               {nil, "RPC_CALLERS is not set"},
		"both":               {map[string]string{"RPC_CALLERS": "note=" + noteKey, "RPC_SERVICE_ACCOUNTS": "note=a/b"}, "RPC_CALLERS and RPC_SERVICE_ACCOUNTS are both given"},
		"no audience":        {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=a/b"}, "RPC_TOKEN_AUDIENCE is not set"},
		"no namespace":       {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=b", "RPC_TOKEN_AUDIENCE": "x"}, "RPC_SERVICE_ACCOUNTS cannot be used"},
		"no name":            {map[string]string{"RPC_SERVICE_ACCOUNTS": "a/b", "RPC_TOKEN_AUDIENCE": "x"}, "RPC_SERVICE_ACCOUNTS cannot be used"},
		"a colon":            {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=a:b/c", "RPC_TOKEN_AUDIENCE": "x"}, "RPC_SERVICE_ACCOUNTS cannot be used"},
		"an empty entry":     {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=a/b,", "RPC_TOKEN_AUDIENCE": "x"}, "RPC_SERVICE_ACCOUNTS cannot be used"},
		"one account, twice": {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=a/b,operator=a/b", "RPC_TOKEN_AUDIENCE": "x"}, "RPC_SERVICE_ACCOUNTS cannot be used"},
		"an API without TLS": {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=a/b", "RPC_TOKEN_AUDIENCE": "x", "RPC_CLUSTER_URL": "http://kube"}, "RPC_CLUSTER_URL is not an https URL"},
		"accounts, complete": {map[string]string{"RPC_SERVICE_ACCOUNTS": "note=a/b,note=c/b.d", "RPC_TOKEN_AUDIENCE": "x"}, ""},
		"tokens, as ever":    {map[string]string{"RPC_CALLERS": "note=" + noteKey}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[struct{ Callers rpc.Callers }](config.Map(c.set))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestACallersTokenIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	server := newWorldOf(t, a.callers(t), func(context.Context, *connect.Request[text]) (*connect.Response[text], error) {
		return connect.NewResponse(&text{}), nil
	})
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		// As kubelet does it: a new file takes the place of the old one.
		if err := os.WriteFile(file+".new", []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	first := a.token1(t, nil)
	put(first)
	client := server.client(t, ask, rpc.Config{Token: config.Secret(first), TokenFile: file})
	if _, err := say(t, t.Context(), client); err != nil {
		t.Fatal(err)
	}
	a.set(func() { a.clock = a.clock.Add(11 * time.Minute) }) // the first has expired
	if _, err := say(t, t.Context(), client); errs.KindOf(err) != errs.KindInternal {
		t.Fatalf("with an expired token: %v", err)
	}
	put(a.token1(t, nil))
	if _, err := say(t, t.Context(), client); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := say(t, t.Context(), client); err != nil {
		t.Errorf("with the file away for a moment: %v", err)
	}
}

func TestACallerThatLeavesWhileKeysAreReadIsNotToldThatItIsUnknown(t *testing.T) {
	t.Parallel()
	a := startAPIServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.callers(t).Caller(ctx, a.token1(t, nil)); errs.KindOf(err) == errs.KindUnauthenticated {
		t.Errorf("%v", err)
	}
}
